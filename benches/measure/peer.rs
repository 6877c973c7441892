//! Who is measured, and how each comes to be.
//!
//! Peers are built from `benches/peers` into `target/peers`, or taken from the system. Without one
//! that cannot be had nothing is measured, because the others would soon stand in the README alone.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Outcome, settings};

/// A server, by the word that `MEASURE_SERVERS` knows it by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Id {
    Fnboot,
    Floor,
    FloorBlocking,
    FloorBlockingPie,
    HyperSpeed,
    HyperSmallest,
    Nginx,
    NginxEcho,
    Go,
    LambdaRuntime,
}

/// A server that can be started.
pub(crate) struct Peer {
    pub(crate) id: Id,
    pub(crate) program: PathBuf,
}

/// What the measurements start.
pub(crate) struct Peers {
    pub(crate) launcher: PathBuf,
    pub(crate) all: Vec<Peer>,
    /// Who could not be had, and why.
    pub(crate) missing: Vec<String>,
}

impl Id {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Fnboot => "fnboot",
            Self::Floor => "floor",
            Self::FloorBlocking => "floor-blocking",
            Self::FloorBlockingPie => "floor-blocking-pie",
            Self::HyperSpeed => "hyper-speed",
            Self::HyperSmallest => "hyper-smallest",
            Self::Nginx => "nginx",
            Self::NginxEcho => "nginx-echo",
            Self::Go => "go",
            Self::LambdaRuntime => "lambda-runtime",
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Fnboot => "fnboot",
            Self::Floor => "floor: epoll, parses nothing",
            Self::FloorBlocking => "floor: blocking, no PIE",
            Self::FloorBlockingPie => "floor: blocking, musl's static PIE",
            Self::HyperSpeed => "hyper, speed build",
            Self::HyperSmallest => "hyper, smallest build",
            Self::Nginx => "nginx, return 200",
            Self::NginxEcho => "nginx, echo module",
            Self::Go => "Go net/http",
            Self::LambdaRuntime => "lambda_runtime, smallest build",
        }
    }

    /// True if the server can do this: only a real echo answers an event other than the first.
    pub(crate) fn answers(self, event_bytes: usize) -> bool {
        let is_fixed = matches!(
            self,
            Self::Nginx | Self::FloorBlocking | Self::FloorBlockingPie
        );
        event_bytes == 11 || !is_fixed
    }
}

impl Peer {
    /// What follows the program's name so that it listens on `port`.
    pub(crate) fn arguments(&self, port: u16) -> Outcome<Vec<String>> {
        let template = match self.id {
            Id::Nginx => "return.conf",
            Id::NginxEcho => "echo.conf",
            _ => return Ok(Vec::new()),
        };
        let prefix = settings::output()?.join("nginx");
        fs::create_dir_all(&prefix)?;
        let configuration = fs::read_to_string(source("nginx").join(template))?;
        let file = prefix.join(template);
        fs::write(
            &file,
            configuration.replace("listen 9000", &format!("listen {port}")),
        )?;
        Ok([
            "-p".into(),
            text(&prefix),
            "-e".into(),
            "stderr".into(),
            "-c".into(),
            text(&file),
        ]
        .into())
    }
}

/// Builds those of `wanted` that `MEASURE_SERVERS` names, or all.
///
/// # Errors
/// The launcher or a server cannot be had. Where the README is written anyway, only fnboot and
/// those that are asked for by name must be there.
pub(crate) fn prepare(wanted: &[Id]) -> Outcome<Peers> {
    let words: Vec<String> = settings::list("MEASURE_SERVERS", &[])?;
    if let Some(word) = words
        .iter()
        .find(|word| wanted.iter().all(|id| id.word() != *word))
    {
        let known: Vec<_> = wanted.iter().map(|id| id.word()).collect();
        return Err(format!(
            "MEASURE_SERVERS: no {word:?}; there are {}",
            known.join(",")
        )
        .into());
    }
    eprintln!("building the peers; the first time takes a minute");
    let launcher = build_floor("launch")?;
    let (mut all, mut missing) = (Vec::new(), Vec::new());
    for &id in wanted {
        if !words.is_empty() && !words.iter().any(|word| id.word() == word) {
            continue;
        }
        match find(id) {
            Ok(program) => all.push(Peer { id, program }),
            Err(error) if id == Id::Fnboot => return Err(error),
            Err(error) => missing.push(format!("{}: {error}", id.label())),
        }
    }
    if missing.is_empty() || (words.is_empty() && settings::writes_anyway()?) {
        return Ok(Peers {
            launcher,
            all,
            missing,
        });
    }
    let others: Vec<_> = all.iter().map(|peer| peer.id.word()).collect();
    Err(format!(
        "{}\nthe others alone: MEASURE_SERVERS={}",
        missing.join("\n"),
        others.join(",")
    )
    .into())
}

/// The program that ships.
pub(crate) fn fnboot() -> Outcome<PathBuf> {
    find(Id::Fnboot)
}

/// A program of `benches/peers/spawn`, of one file of C.
pub(crate) fn build_c(name: &str, flags: &[&str]) -> Outcome<PathBuf> {
    let compiler = installed("cc", "gcc libc6-dev")?;
    let directory = built("spawn");
    fs::create_dir_all(&directory)?;
    let program = directory.join(name);
    let mut compiler = Command::new(compiler);
    compiler
        .args(["-O2", "-Wall"])
        .args(flags)
        .arg("-o")
        .arg(&program);
    compiler.arg(source("spawn").join(name).with_extension("c"));
    run(&mut compiler, "apt-get install gcc libc6-dev").map(|()| program)
}

/// The program of a peer, built first where its source is here.
fn find(id: Id) -> Outcome<PathBuf> {
    match id {
        Id::Fnboot => {
            let program = settings::bootstrap();
            let missing = format!("no {}; `make` builds it", program.display());
            fs::canonicalize(program).map_err(|_| missing.into())
        }
        Id::Floor => build_floor("floor"),
        Id::FloorBlocking => build_floor("floor-blocking"),
        Id::FloorBlockingPie => build_floor_pie("floor-blocking"),
        Id::HyperSpeed => build_hyper_speed(),
        Id::HyperSmallest => build_smallest("hyper", "hyper-echo"),
        Id::Nginx => installed("nginx", "nginx"),
        Id::NginxEcho => {
            let module = "/usr/lib/nginx/modules/ngx_http_echo_module.so";
            fs::metadata(module).map_err(|_| missing(module, "libnginx-mod-http-echo"))?;
            installed("nginx", "nginx")
        }
        Id::Go => build_go(),
        Id::LambdaRuntime => build_smallest("lambda_runtime", "lambda-echo"),
    }
}

fn build_floor(program: &str) -> Outcome<PathBuf> {
    let target = format!("{ARCH}-unknown-linux-musl");
    let built = built("floor").join(&target).join("release").join(program);
    let mut cargo = cargo("floor", &["build", "--release", "--target", &target]);
    run(&mut cargo, &format!("rustup target add {target}")).map(|()| built)
}

/// The same source as an ordinary program: static and position-independent, as musl links it.
fn build_floor_pie(program: &str) -> Outcome<PathBuf> {
    let target = format!("{ARCH}-unknown-linux-musl");
    let built = built("floor-pie");
    let arguments = ["build", "--release", "--target", &target, "--bin", program];
    let mut cargo = cargo("floor", &arguments);
    // The variable stands for all flags of the crate's own configuration, which is the other floor's.
    cargo
        .env("RUSTFLAGS", "-C link-arg=-lc")
        .env("CARGO_TARGET_DIR", &built);
    run(&mut cargo, &format!("rustup target add {target}"))?;
    Ok(built.join(target).join("release").join(program))
}

/// As fast as it gets: the system's C library, because its allocator is the faster one.
fn build_hyper_speed() -> Outcome<PathBuf> {
    let mut cargo = cargo("hyper", &["build", "--release"]);
    run(&mut cargo, "rustup update stable").map(|()| built("hyper").join("release/hyper-echo"))
}

/// As small as it gets: the standard library built anew, without what panics print.
fn build_smallest(crate_name: &str, program: &str) -> Outcome<PathBuf> {
    let target = format!("{ARCH}-unknown-linux-musl");
    let arguments = [
        "+nightly",
        "build",
        "--profile=smallest",
        "--target",
        &target,
        "-Zbuild-std=std,panic_abort",
        "-Zbuild-std-features=optimize_for_size",
    ];
    let mut cargo = cargo(crate_name, &arguments);
    cargo.env(
        "RUSTFLAGS",
        "-Zunstable-options -Cpanic=immediate-abort -Crelocation-model=static",
    );
    let remedy = format!("rustup toolchain install nightly -c rust-src -t {target}");
    run(&mut cargo, &remedy)?;
    Ok(built(crate_name)
        .join(target)
        .join("smallest")
        .join(program))
}

fn build_go() -> Outcome<PathBuf> {
    let go = installed("go", "golang-go")?;
    let built = built("go").join("echo");
    let mut compiler = Command::new(go);
    compiler.current_dir(source("go")).env("CGO_ENABLED", "0");
    compiler
        .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(&built);
    run(&mut compiler, "apt-get install golang-go").map(|()| built)
}

/// Cargo for a crate of its own, free of what this run's cargo was told.
fn cargo(crate_name: &str, arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(source(crate_name))
        .args(arguments)
        .arg("--quiet");
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "RUSTUP_TOOLCHAIN",
        "CARGO",
        "RUSTC",
    ] {
        cargo.env_remove(name);
    }
    cargo.env("CARGO_TARGET_DIR", built(crate_name));
    cargo
}

/// Runs a compiler; `remedy` is the command that brings what it most likely lacks.
fn run(command: &mut Command, remedy: &str) -> Outcome<()> {
    if command.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(format!("cannot be built, see above; `{remedy}` may help").into())
}

/// A program of the system.
pub(crate) fn installed(program: &str, package: &str) -> Outcome<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut places = std::env::split_paths(&path)
        .chain(more)
        .map(|place| place.join(program));
    places
        .find(|place| place.is_file())
        .ok_or_else(|| missing(program, package))
}

fn missing(what: &str, package: &str) -> Box<dyn std::error::Error> {
    format!("no {what}; `apt-get install {package}` has it").into()
}

/// Where the source of a peer is.
pub(crate) fn source(peer: &str) -> PathBuf {
    settings::root().join("benches/peers").join(peer)
}

fn built(peer: &str) -> PathBuf {
    settings::root().join("target/peers").join(peer)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
