//! The laws that every sink obeys, and in-memory doubles for tests.
