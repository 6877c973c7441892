//! Integration tests against the real `bootstrap`.
