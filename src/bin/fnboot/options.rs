//! The command line: what is to be done, with which function.

use crate::function::{Function, Platform};
use crate::invoke::Invoke;
use crate::package;
use crate::serve::Serve;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Uri};
use lexopt::{Arg, Parser, ValueExt};
use std::env;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const USAGE: &str = "\
Runs a function on this machine as the cloud would, and packs it.

  fnboot invoke  [OPTION...] PROGRAM [ARG...]   starts PROGRAM, calls it once, shows log, result, figures
  fnboot serve   [OPTION...] PROGRAM [ARG...]   plays the platform's gateway on a local port
  fnboot package [OPTION...] PROGRAM [FILE...]  packs what is uploaded: small, the same bytes every time

fnboot invoke --help, and so on, tells the options; fnboot --version the version.
";

const FUNCTION_HELP: &str = "
The function, for all three:
      --platform P         fc (default), lambda, scf
      --web                SCF: a web function, an HTTP server on port 9000 named scf_bootstrap
      --code DIR           the function's folder: PROGRAM is started in it, and looked up in it first;
                           without PROGRAM it is DIR/bootstrap
      --handler NAME       told to the program: _HANDLER, on FC FC_FUNCTION_HANDLER
      --env NAME=VALUE     a variable of the function's own; NAME alone takes the value from here
      --env-file FILE      the same, one a line; empty lines and those that begin with # mean nothing
  -- ARG...                arguments of the program
";

const RUN_HELP: &str = "
How it is run:
      --function NAME      its name, as the platform tells it to the program [function]
      --memory MB          told to the program and shown; not enforced [512]
      --timeout SECONDS    of a call; then the instance is killed [60]
      --start-timeout SECONDS  until the program is ready [the platform's, or a few seconds where it
                           listens on another port]
      --concurrency N      calls that an instance takes at the same time; on Lambda: Managed Instances [1]
      --init               FC: call the initializer once, before the first call
      --snap-start         Lambda: start as with SnapStart, a snapshot taken and restored after the start
";

const INVOKE_HELP: &str = "\
fnboot invoke [OPTION...] PROGRAM [ARG...]
fnboot invoke [OPTION...] --code DIR [PROGRAM] [-- ARG...]

Starts PROGRAM as the platform would and calls it once. Standard output is the answer and nothing else.
Exit status: 0, or 1 if the call failed, 2 if there was none, 128 + n after signal n.

  -e, --event EVENT        the event, or the body of an HTTP request
      --event-file FILE    the same, from a file
      --stdin              the same, from standard input
      --http 'GET /path'   call an HTTP function; '/path' alone is a GET
  -H, --header 'NAME: VALUE'  of the HTTP request; without one, beside the event, the platform's replaced
      --client-context JSON, --cognito-identity JSON, --tenant ID  Lambda: who calls
";

const SERVE_HELP: &str = "\
fnboot serve [OPTION...] PROGRAM [ARG...]
fnboot serve [OPTION...] --code DIR [PROGRAM] [-- ARG...]

Plays the platform's gateway: HTTP triggers and the invoke APIs of FC 2.0 and 3.0; Lambda's Invoke API
and function URL; SCF's events (POST) or web functions. Calls side by side start further instances; they
are replaced when a file of the function changes.

  -p, --port PORT          0 for any [8000]
      --host ADDRESS       [127.0.0.1]
      --instances N        most at the same time; then calls wait [10, or 1 with --concurrency]
";

const PACKAGE_HELP: &str = "\
fnboot package [OPTION...] PROGRAM [FILE...]
fnboot package [OPTION...] --code DIR [PROGRAM] [FILE...] [-- ARG...]

Packs the program, as the file that the platform starts, with FILEs (or NAME-IN-ARCHIVE=FILE) and all of DIR.

  -o, --output FILE        the archive [pkg/bootstrap.zip]
      --name NAME          the program's name in it [bootstrap, scf_bootstrap with --web]
      --arch ARCH          x86_64 or arm64, where the program's own is not right
";

/// What is to be done.
pub(crate) enum Command {
    Show(String),
    Invoke(Invoke),
    Serve(Serve),
    Package(package::Options),
}

/// What the words say, of whichever command.
#[derive(Default)]
struct Given {
    function: Function,
    is_web: bool,
    invoke: Invoke,
    serve: Serve,
    package: package::Options,
}

/// Reads the command line, whose first word is the tool's own name.
///
/// # Errors
///
/// A word that means nothing, or not there; a file of variables that cannot be read.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let mut parser = Parser::from_iter(words);
    let verb = match parser.next()? {
        Some(Arg::Value(word)) => word.to_string_lossy().into_owned(),
        Some(Arg::Long("version") | Arg::Short('V')) => {
            let version = concat!("fnboot ", env!("CARGO_PKG_VERSION"), "\n");
            return Ok(Command::Show(version.to_owned()));
        }
        Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Command::Show(USAGE.to_owned())),
        Some(other) => return Err(other.unexpected().into()),
        None => return Err(USAGE.into()),
    };
    let help = match &*verb {
        "invoke" => [INVOKE_HELP, FUNCTION_HELP, RUN_HELP].concat(),
        "serve" => [SERVE_HELP, FUNCTION_HELP, RUN_HELP].concat(),
        "package" => [PACKAGE_HELP, FUNCTION_HELP].concat(),
        _ => return Err(format!("there is no {verb}\n\n{USAGE}").into()),
    };
    let mut given = Given::default();
    given.function.name = "function".into();
    given.function.memory_mb = 512;
    given.function.timeout = Duration::from_secs(60);
    while !given.take_arguments(&verb, &mut parser)?
        && let Some(arg) = parser.next()?
    {
        let name = match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Show(help)),
            Arg::Value(word) if given.function.program.is_some() => {
                given.package.extra.push(word.string()?);
                continue;
            }
            Arg::Value(word) => {
                given.function.program = Some(word.into());
                continue;
            }
            Arg::Long(name) => name,
            Arg::Short('e') => "event",
            Arg::Short('H') => "header",
            Arg::Short('p') => "port",
            Arg::Short('o') => "output",
            Arg::Short(_) => return Err(arg.unexpected().into()),
        };
        let name = format!("--{name}");
        // The help is the table of what a command has.
        let rows = help.lines().map(str::trim_start);
        let rows = rows.filter(|row| row.starts_with('-'));
        let names = rows.filter_map(|row| row.split("  ").next());
        let mut words = names.flat_map(|names| names.split([' ', ',']));
        if !words.any(|word| word == name) || !given.take(&name, &mut parser)? {
            return Err(format!("there is no option {name} here; --help lists them").into());
        }
    }
    given.finish(&verb)
}

impl Given {
    /// Takes the program's arguments, which are the end. They follow the program; where it is packed
    /// with files, or is left out beside its folder, two dashes tell them apart.
    fn take_arguments(&mut self, verb: &str, parser: &mut Parser) -> Result<bool> {
        let is_end = match (&self.function.program, &self.function.code) {
            (Some(_), _) if verb != "package" => true,
            (None, None) => false,
            _ => parser
                .try_raw_args()
                .is_some_and(|rest| rest.peek().is_some_and(|word| word == "--")),
        };
        if is_end {
            let mut rest = parser.raw_args()?;
            rest.next_if(|word| word == "--");
            self.function.args = rest.collect();
        }
        Ok(is_end)
    }

    /// Takes an option with its value, if there is one of this name.
    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<bool> {
        let function = &mut self.function;
        match name {
            "--platform" => function.platform = value(parser, name)?,
            "--web" => self.is_web = true,
            "--code" => function.code = Some(parser.value()?.into()),
            "--handler" => function.handler = Some(value(parser, name)?),
            "--env" => {
                let variable = variable_of(&parser.value()?);
                self.set([variable.map_err(|why| format!("{name}: {why}"))?]);
            }
            "--env-file" => self.set(variables_in(Path::new(&parser.value()?))?),
            "--function" => function.name = value(parser, name)?,
            "--memory" => function.memory_mb = number(parser, name, 32_768)?,
            "--timeout" => function.timeout = seconds(parser, name, 86_400)?,
            "--start-timeout" => function.start_timeout = Some(seconds(parser, name, 3_600)?),
            "--concurrency" => function.concurrency = Some(number(parser, name, 200)?),
            "--instances" => function.instances = Some(number(parser, name, 1_000)?),
            "--init" => function.has_initializer = true,
            "--snap-start" => function.is_snapshot = true,
            "--port" => self.serve.port = value(parser, name)?,
            "--host" => self.serve.host = value(parser, name)?,
            "--output" => self.package.output = Some(parser.value()?.into()),
            "--name" => self.package.name = Some(value(parser, name)?),
            "--arch" => self.package.arch = Some(value(parser, name)?),
            _ => return self.take_of_call(name, parser),
        }
        Ok(true)
    }

    /// The same, of what `invoke` calls.
    fn take_of_call(&mut self, name: &str, parser: &mut Parser) -> Result<bool> {
        match name {
            "--event" => self.give(name, Cursor::new(parser.value()?.into_vec()))?,
            "--event-file" => {
                let path = PathBuf::from(parser.value()?);
                let file = File::open(&path);
                let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
                self.give(name, file)?;
            }
            "--stdin" => self.give(name, io::stdin())?,
            "--http" => self.invoke.http = Some(target(&parser.value()?.string()?)?),
            "--header" => {
                let (header, value) = header(name, &parser.value()?.string()?)?;
                let added = self.invoke.headers.try_append(header, value);
                added.map_err(|_| format!("{name}: too many"))?;
            }
            "--client-context" | "--cognito-identity" | "--tenant" => {
                let header_name = match name {
                    "--client-context" => "lambda-runtime-client-context",
                    "--cognito-identity" => "lambda-runtime-cognito-identity",
                    _ => "lambda-runtime-aws-tenant-id",
                };
                let text = format!("{header_name}: {}", parser.value()?.string()?);
                let (header, value) = header(name, &text)?;
                self.invoke.caller.insert(header, value);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set(&mut self, variables: impl IntoIterator<Item = Variable>) {
        for (name, value) in variables {
            let value = value.or_else(|| env::var_os(&name));
            let variable = value.map(|value| (name, value));
            self.function.environment.extend(variable);
        }
    }

    fn give(&mut self, name: &str, event: impl Read + 'static) -> Result<()> {
        match self.invoke.event.replace(Box::new(event)) {
            None => Ok(()),
            Some(_) => Err(format!("{name}: an event is given already").into()),
        }
    }

    fn finish(mut self, verb: &str) -> Result<Command> {
        let mut function = self.function;
        if self.is_web {
            function.platform = match function.platform {
                Platform::Scf => Platform::ScfWeb,
                _ => return Err("--web is SCF's: --platform scf --web".into()),
            };
        }
        if function.program.is_none() && function.code.is_none() {
            return Err("no PROGRAM, which is usually pkg/bootstrap, and no --code DIR".into());
        }
        if verb == "package" {
            self.package.function = function;
            return Ok(Command::Package(self.package));
        }
        function.check()?;
        if !self.invoke.caller.is_empty() && function.platform != Platform::Lambda {
            return Err("--client-context, --cognito-identity and --tenant are Lambda's".into());
        }
        if verb == "serve" {
            self.serve.function = function;
            return Ok(Command::Serve(self.serve));
        }
        self.invoke.function = function;
        Ok(Command::Invoke(self.invoke))
    }
}

fn value<T: FromStr<Err: Display>>(parser: &mut Parser, name: &str) -> Result<T> {
    let value = parser.value()?.string()?;
    let parsed = value.parse();
    parsed.map_err(|error| format!("{name} {value}: {error}").into())
}

fn number(parser: &mut Parser, name: &str, max: u32) -> Result<u32> {
    let text: String = value(parser, name)?;
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| format!("{name} {text}: not a whole number from 1 to {max}").into())
}

fn seconds(parser: &mut Parser, name: &str, max: u32) -> Result<Duration> {
    let seconds = number(parser, name, max)?;
    Ok(Duration::from_secs(seconds.into()))
}

fn target(text: &str) -> Result<(Method, Uri)> {
    let text = text.trim();
    let (method, target) = text.split_once(' ').unwrap_or(("GET", text));
    let target = target.trim_start();
    let parsed = method.parse().ok().zip(target.parse().ok());
    let parsed = parsed.filter(|_| target.starts_with('/'));
    parsed.ok_or_else(|| format!("--http {text}: want 'GET /path' or '/path'").into())
}

fn header(name: &str, text: &str) -> Result<(HeaderName, HeaderValue)> {
    let parsed = text.split_once(':').and_then(|(name, value)| {
        let value = HeaderValue::from_bytes(value.trim().as_bytes());
        name.parse().ok().zip(value.ok())
    });
    parsed.ok_or_else(|| format!("{name}: {text} is not a header, NAME: VALUE").into())
}

/// A name and its value; none: what the tool's own environment has.
type Variable = (OsString, Option<OsString>);

/// `NAME=VALUE`, or a name alone.
fn variable_of(word: &OsStr) -> Result<Variable, String> {
    let mut parts = word.as_bytes().splitn(2, |byte| *byte == b'=');
    let mut next = || parts.next().map(OsStr::from_bytes);
    let name = next().filter(|name| !name.is_empty() && !word.as_bytes().contains(&0));
    let name = name.ok_or_else(|| format!("{} is not NAME=VALUE", word.display()))?;
    Ok((name.to_owned(), next().map(OsStr::to_owned)))
}

/// The variables in a file, as `docker run --env-file` and shells take them: a word `export` before a
/// name and a pair of quotes around a whole value mean nothing.
fn variables_in(path: &Path) -> Result<Vec<Variable>> {
    let file = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut variables = Vec::new();
    // Editors of other systems put a mark before the text.
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file);
    for (index, line) in file.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let line = line.strip_prefix(b"export ").unwrap_or(line).trim_ascii();
        let variable = variable_of(OsStr::from_bytes(line));
        let at = |why| format!("{}:{}: {why}", path.display(), index + 1);
        let (name, value) = variable.map_err(at)?;
        variables.push((name, value.map(unquoted)));
    }
    Ok(variables)
}

fn unquoted(value: OsString) -> OsString {
    match value.as_bytes() {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => OsString::from_vec(inner.to_vec()),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Command> {
        parse(format!("fnboot {words}").split(' ').map(OsString::from))
    }

    #[test]
    fn the_program_and_its_arguments() {
        for (words, program, args) in [
            ("invoke p", "p", &[][..]),
            ("invoke -e x p -e y", "p", &["-e", "y"]),
            ("invoke p -- -e y", "p", &["-e", "y"]),
            ("invoke -- p -e", "p", &["-e"]),
            ("invoke --platform scf --concurrency 2 --web p", "p", &[]),
            ("serve --code /usr/bin env -- a", "env", &["a"]),
            ("package --code /usr/bin -- a b", "", &["a", "b"]),
            ("package p x=y -- a", "p", &["a"]),
        ] {
            let (Command::Invoke(Invoke { function, .. })
            | Command::Serve(Serve { function, .. })
            | Command::Package(package::Options { function, .. })) = parsed(words).unwrap()
            else {
                panic!("{words:?} asks for help")
            };
            let found = function.program.unwrap_or_default();
            assert_eq!(found, Path::new(program), "{words}");
            assert_eq!(function.args, args, "{words}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (words, want) in [
            ("", "fnboot invoke"),
            ("call", "there is no"),
            ("invoke", "no PROGRAM"),
            ("invoke --memory 0 p", "from 1 to 32768"),
            ("invoke --memory x p", "--memory x:"),
            ("invoke --instances 2 p", "there is no option --instances"),
            ("invoke --output x p", "there is no option --output"),
            ("serve --event x p", "there is no option --event"),
            ("package --timeout 2 p", "there is no option --timeout"),
            ("package --port 2 p", "there is no option --port"),
            ("package -x p", "invalid option '-x'"),
            ("invoke --event", "missing argument"),
            ("invoke -e 1 --stdin p", "given already"),
            ("invoke --tenant t p", "are Lambda's"),
            ("invoke --web p", "--web is SCF's"),
            ("invoke --platform lambda --init p", "--init is FC's"),
            ("serve --snap-start p", "--snap-start is Lambda's"),
            ("serve --platform scf --concurrency 2 p", "one event"),
            ("invoke --platform aws p", "fc, lambda or scf"),
            ("invoke --env =x p", "is not NAME=VALUE"),
            ("invoke --http path p", "want 'GET /path'"),
            ("invoke -H x p", "NAME: VALUE"),
            ("invoke --code /nowhere", "is not a folder"),
            ("invoke --code /usr/bin", "has no bootstrap"),
        ] {
            let error = parsed(words).map(drop).unwrap_err().to_string();
            assert!(error.contains(want), "{words}: {error:?}");
        }
    }

    #[test]
    fn targets() {
        for (text, want) in [
            ("GET /path?q=1", "GET /path?q=1"),
            ("/path", "GET /path"),
            (" DELETE  /a%20b ", "DELETE /a%20b"),
            ("GET path", ""),
            ("G(T /path", ""),
            ("", ""),
        ] {
            let got = target(text).map(|(method, uri)| format!("{method} {uri}"));
            assert_eq!(got.unwrap_or_default(), want);
        }
    }

    #[test]
    fn files_of_variables() {
        let file = env::temp_dir().join(format!("fnboot-env-{}", std::process::id()));
        let text = "# no\n\nA=1\nexport B='two words' \n C=\"\"\r\nITS_OWN\n";
        fs::write(&file, text).unwrap();
        let (a, b, c) = (Some("1"), Some("two words"), Some(""));
        // What the tool's own environment has is taken as it is, quotes and all.
        let want = [("A", a), ("B", b), ("C", c), ("ITS_OWN", None)];
        let want = want.map(|(name, value)| (name.into(), value.map(Into::into)));
        assert_eq!(variables_in(&file).unwrap(), want);
        fs::write(&file, "A=1\n=2").unwrap();
        let error = variables_in(&file).unwrap_err().to_string();
        assert!(error.ends_with(":2: =2 is not NAME=VALUE"), "{error}");
        fs::remove_file(&file).unwrap();
    }
}
