//! What the environment says about a run.

use std::path::PathBuf;
use std::str::FromStr;

use super::Outcome;

/// The cores that share the work: one for the server, one for the client.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) client: usize,
}

/// `MEASURE_CORES=SERVER,CLIENT`, else the first two.
pub(crate) fn cores() -> Outcome<Cores> {
    match list("MEASURE_CORES", &[0, 1])?[..] {
        [server, client] => Ok(Cores { server, client }),
        _ => Err("MEASURE_CORES: want two numbers, as in 0,1".into()),
    }
}

/// `BOOTSTRAP`: the program that ships, else `pkg/bootstrap`.
pub(crate) fn bootstrap() -> PathBuf {
    std::env::var_os("BOOTSTRAP").map_or_else(|| root().join("pkg/bootstrap"), PathBuf::from)
}

/// The directory of the package.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where everything goes that a run writes, the pictures apart.
pub(crate) fn output() -> Outcome<PathBuf> {
    let directory = root().join("target/measure");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Whether nothing was asked to be other than it is by default.
pub(crate) fn is_whole() -> bool {
    std::env::vars_os().all(|(name, _)| {
        let name = name.to_string_lossy();
        name != "BOOTSTRAP" && !name.starts_with("MEASURE_")
    })
}

/// One number from the environment.
pub(crate) fn number(name: &str, default: usize) -> Outcome<usize> {
    match list(name, &[default])?[..] {
        [number] if number > 0 => Ok(number),
        _ => Err(format!("{name}: want one number above zero").into()),
    }
}

/// Words from the environment with commas between them.
pub(crate) fn list<T: FromStr + Clone>(name: &str, default: &[T]) -> Outcome<Vec<T>> {
    let Ok(value) = std::env::var(name) else {
        return Ok(default.to_vec());
    };
    let words = value.split(',').map(|word| word.trim().parse());
    words
        .collect::<Result<_, _>>()
        .map_err(|_| format!("{name}: cannot read {value:?}").into())
}
