//! Identifiers that no two calls share.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use uuid::Builder;

/// Unique rather than secret: std takes random keys from the kernel once a thread, and changes them for
/// each hasher.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A random UUID (RFC 9562 §5.4), as Lambda and SCF name their calls.
pub(crate) fn uuid() -> String {
    let random = u128::from(random()) << 64 | u128::from(random());
    let uuid = Builder::from_random_bytes(random.to_ne_bytes());
    uuid.into_uuid().to_string()
}
