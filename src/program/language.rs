//! Interpreters, and what is run in them: a shim of ours loads the function, and serves events.

use super::find::Language;
use crate::handler::Platform;
use crate::sys::fd::Errno;
use crate::sys::strings::Strings;

/// Room for the arguments of an interpreter: its shim, and three short ones.
const ARGUMENTS_BYTES: usize = 64 * 1024;

/// The names of the interpreters of a language, of which the first that is there is started, the option that the
/// shim follows, and the shim.
struct Interpreter {
    names: [&'static str; 2],
    option: &'static str,
    shim: &'static str,
    /// What comes before the arguments of the shim.
    before: &'static str,
}

const SHELL: Interpreter = Interpreter {
    names: ["bash", "sh"],
    option: "-c",
    shim: include_str!(concat!(env!("OUT_DIR"), "/bash.sh")),
    before: "fnboot",
};
const PHP: Interpreter = Interpreter {
    names: ["php", "php"],
    option: "-r",
    shim: include_str!(concat!(env!("OUT_DIR"), "/php.php")),
    before: "--",
};
const PYTHON: Interpreter = Interpreter {
    names: ["python3", "python"],
    option: "-c",
    shim: include_str!(concat!(env!("OUT_DIR"), "/python.py")),
    before: "",
};
const NODE: Interpreter = Interpreter {
    names: ["node", "nodejs"],
    option: "-e",
    shim: include_str!(concat!(env!("OUT_DIR"), "/node.js")),
    before: "--",
};

impl Language {
    fn interpreter(self) -> Option<&'static Interpreter> {
        match self {
            Self::Shell => Some(&SHELL),
            Self::Php => Some(&PHP),
            Self::Python => Some(&PYTHON),
            Self::Node => Some(&NODE),
            Self::None => None,
        }
    }

    /// The programs that can run it, the better one first; none for what runs by itself.
    pub fn programs(self) -> &'static [&'static str] {
        self.interpreter()
            .map_or(&[], |interpreter| &interpreter.names)
    }
}

/// The arguments of an interpreter: the program, its shim, and the function.
///
/// # Errors
/// Out of memory.
pub fn arguments(
    language: Language,
    program: &str,
    file: &[u8],
    name: &[u8],
    platform: Platform,
) -> Result<Strings, Errno> {
    let platform = match platform {
        Platform::Fc => "fc",
        Platform::Lambda => "lambda",
        Platform::Scf => "scf",
    };
    let mut arguments = Strings::new(ARGUMENTS_BYTES)?;
    if let Some(interpreter) = language.interpreter() {
        arguments.put(&[program.as_bytes()])?;
        for word in [interpreter.option, interpreter.shim, interpreter.before] {
            if !word.is_empty() {
                arguments.put(&[word.as_bytes()])?;
            }
        }
    }
    for word in [file, name, platform.as_bytes()] {
        arguments.put(&[word])?;
    }
    Ok(arguments)
}
