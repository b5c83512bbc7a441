//! The reset protocol: prepare, reset once, fan out, settle, report.
