//! The github-actions sink: keeps a token in GitHub Actions, Dependabot and Codespaces secrets.
