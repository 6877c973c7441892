//! The keys of a function's role: the environment's own, with which a function that calls a cloud
//! service can be tried, or invented ones. Never a mixture, because no service takes real keys with an
//! invented token.

use std::env;
use std::ffi::OsString;

/// Access key id, access key secret and session token, as one platform names their variables.
pub(crate) type Names = [&'static str; 3];

/// The values in the same order, where there are any.
pub(crate) type Keys = [Option<String>; 3];

/// What the environment brings if one of the two keys is there, else `invented`. Empty is not set.
pub(crate) fn from_environment(names: Names, invented: [&str; 3]) -> Keys {
    let own = names.map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    match own {
        [None, None, _] => invented.map(|value| Some(value.to_owned())),
        own => own,
    }
}

/// What the program's environment gets. It inherits the rest, and has no variable without a value.
pub(crate) fn variables(
    names: Names,
    keys: Keys,
) -> impl Iterator<Item = (&'static str, OsString)> {
    let pairs = names.into_iter().zip(keys);
    pairs.filter_map(|(name, value)| Some((name, value?.into())))
}
