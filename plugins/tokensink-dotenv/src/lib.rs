//! The dotenv sink: keeps a token in .env files.
