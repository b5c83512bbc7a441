//! The issuer: the Upstash Developer API and the QStash probe.
