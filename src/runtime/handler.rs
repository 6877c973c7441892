//! The function that `_HANDLER` names, or that is named like it: in a file of the code.

#[cfg(feature = "function")]
pub use in_files::{function, named};

#[cfg(not(feature = "function"))]
pub use not_in_files::{function, named};

/// Without functions in files it is the built-in one.
#[cfg(not(feature = "function"))]
mod not_in_files {
    use crate::program::Function;
    use crate::runtime::config::Config;
    use crate::runtime::stock;

    pub fn function(_: &Config) -> Function {
        stock::check_handler();
        Function::ECHO
    }

    pub fn named(_: &[u8], _: bool, _: &Config) -> Function {
        Function::ECHO
    }
}

#[cfg(feature = "function")]
mod in_files {
    use crate::limits::PATH_BYTES_MAX;
    use crate::program::find::{self, File, Language};
    use crate::program::{Function, Launch, Stay, language};
    use crate::runtime::config::Config;
    use crate::runtime::fatal::kernel;
    use crate::runtime::starting::{ARGUMENTS_BYTES, ENTRYPOINT, command, missing, start};
    use crate::sys::strings::{self, Strings};
    use crate::sys::{env, file, process};

    const NO_HANDLER: &str = "Runtime.NoSuchHandler";

    /// What `_HANDLER` names, or else FC's setting, if there is such a file: it has a value even where none was
    /// meant. A name that is fnboot's own file means the built-in function.
    pub fn function(config: &Config) -> Function {
        let value = |name| env::var(name).filter(|value| !value.is_empty());
        let name = value(b"_HANDLER");
        let hint = value(b"FC_FUNCTION_HANDLER").filter(|_| name.is_none());
        match (name.or(hint), name.is_some()) {
            (None | Some(b"echo"), _) => Function::ECHO,
            (Some(word), is_binding) => named(word, is_binding, config),
        }
    }

    /// A function in a file. If the name is not `is_binding`, and there is no such file, it is the built-in one. Out of
    /// line, because its large places are nothing that the start of the built-in function should touch.
    #[inline(never)]
    pub fn named(word: &[u8], is_binding: bool, config: &Config) -> Function {
        let mut folder = [0; PATH_BYTES_MAX];
        let root = match find::root(env::var) {
            Some(root) => root,
            None if word.starts_with(b"/") => b"",
            None => process::folder(&mut folder),
        };
        let mut place = [0; PATH_BYTES_MAX];
        let found = match find::find(word, root, &mut place, look) {
            Ok(found) => found,
            Err(_) if !is_binding => return Function::ECHO,
            Err(bad) => return missing(bad.text, bad.value, NO_HANDLER, config),
        };
        if is_own(found.path) {
            return Function::ECHO;
        }
        // A file without the name of a function runs by itself. PHP's may return one.
        let is_whole = found.name.is_empty() && found.language != Language::Php;
        if is_whole && found.file != File::Executable {
            let text = "'$' is a file: which function of it? FILE.NAME";
            return missing(text, word, NO_HANDLER, config);
        }
        if is_whole || found.language == Language::None {
            return command(only(found.path), config);
        }
        let (programs, options) = language::interpreter(found.language);
        for program in programs {
            if let Ok(mut launch) = Launch::find(only(program)) {
                let arguments = &mut launch.arguments;
                let put = language::put_arguments(arguments, options, &found, config.platform());
                kernel(NO_MEMORY, put);
                return start(launch, Stay::Resident, config);
            }
        }
        let text = "there is no program '$', which runs the function";
        missing(text, programs[0], ENTRYPOINT, config)
    }

    const NO_MEMORY: &str = "out of memory: !";

    /// The arguments of a program that has none but its name.
    fn only(word: &[u8]) -> Strings {
        let mut words = kernel(NO_MEMORY, Strings::new(ARGUMENTS_BYTES));
        kernel(NO_MEMORY, words.put(&[word]));
        words
    }

    /// What there is at a path.
    fn look(path: &[u8]) -> File {
        let mut place = [0; PATH_BYTES_MAX];
        match strings::path(&mut place, &[path]) {
            Ok(path) if !file::is_file(path) => File::None,
            Ok(path) if file::executable(path).is_ok() => File::Executable,
            Ok(_) => File::Plain,
            Err(_) => File::None,
        }
    }

    /// Whether the file at `path` is the one that this process runs.
    fn is_own(path: &[u8]) -> bool {
        let mut place = [0; PATH_BYTES_MAX];
        let path = strings::path(&mut place, &[path]);
        path.is_ok_and(|path| file::is_same(path, c"/proc/self/exe"))
    }
}
