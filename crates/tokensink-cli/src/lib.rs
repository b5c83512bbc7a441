//! The tokensink command.
