//! What the environment says about a run.

use std::path::PathBuf;
use std::str::FromStr;

use super::Outcome;

/// How much is measured: the variable, and what it is by default.
pub(crate) type Amount = (&'static str, usize);

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

/// Where everything goes that a run writes, before any of it goes into the README.
pub(crate) fn output() -> Outcome<PathBuf> {
    let directory = root().join("target/measure");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// The variables that make this another run than that of the README: which cores take part does
/// not, nor do larger `amounts` than by default.
pub(crate) fn changed(amounts: &[Amount]) -> Outcome<Vec<String>> {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let mut changed: Vec<String> = names
        .filter(|name| name == "BOOTSTRAP" || name.starts_with("MEASURE_"))
        .filter(|name| name != "MEASURE_CORES" && name != "MEASURE_WRITE")
        .collect();
    for &(name, default) in amounts {
        if number((name, default))? >= default {
            changed.retain(|changed| changed != name);
        }
    }
    changed.sort();
    Ok(changed)
}

/// `MEASURE_WRITE=anyway`: README and pictures are written, whatever there is to say against it.
pub(crate) fn writes_anyway() -> Outcome<bool> {
    match std::env::var("MEASURE_WRITE").as_deref() {
        Err(std::env::VarError::NotPresent) | Ok("") => Ok(false),
        Ok("anyway") => Ok(true),
        _ => Err("MEASURE_WRITE: want anyway, or nothing".into()),
    }
}

/// One number from the environment.
pub(crate) fn number((name, default): Amount) -> Outcome<usize> {
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
