//! The aws-secrets-manager sink: keeps a token in AWS Secrets Manager.
