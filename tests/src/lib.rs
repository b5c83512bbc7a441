//! End-to-end tests, run through a third party's build of tokensink.
