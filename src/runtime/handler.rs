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
    use core::ffi::CStr;

    use crate::limits::PATH_BYTES_MAX;
    use crate::program::find::{self, File, Language};
    use crate::program::{Function, Reply, Stay, language};
    use crate::runtime::config::Config;
    use crate::runtime::fatal::kernel;
    use crate::runtime::starting::{ENTRYPOINT, NO_MEMORY, command, launch, missing, start, words};
    use crate::sys::memory::Mapping;
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

    /// A function in a file. If the name is not `is_binding`, and there is no such file, it is the built-in one.
    #[inline(never)]
    pub fn named(word: &[u8], is_binding: bool, config: &Config) -> Function {
        let mut place = kernel(NO_MEMORY, Mapping::new(3 * PATH_BYTES_MAX));
        // There may be two paths to be named.
        let (folder, paths) = place
            .split_at_mut_checked(PATH_BYTES_MAX)
            .unwrap_or_default();
        let root = find::root(env::var).unwrap_or_else(|| process::folder(folder));
        let found = match find::find(word, root, paths, look) {
            Ok(found) if file::is_same(found.path, c"/proc/self/exe") => return Function::ECHO,
            Ok(found) => found,
            Err(_) if !is_binding => return Function::ECHO,
            Err(bad) => return missing(bad.text, bad.value, NO_HANDLER, config),
        };
        let mut words = words();
        // A file without the name of a function runs by itself. PHP's may return one.
        let is_whole = found.name.is_empty() && found.language != Language::Php;
        if is_whole && found.file != File::Executable {
            let text = "'$' is a file: which function of it? FILE.NAME";
            return missing(text, word, NO_HANDLER, config);
        }
        if is_whole || found.language == Language::None {
            words.put(found.path.to_bytes());
            return command(words, Reply::Body, config);
        }
        let launch = launch(words);
        match language::interpreter(launch, &found, config.platform()) {
            Ok(()) => start(launch, Stay::Resident, Reply::Body, config),
            Err(bad) => missing(bad.text, bad.value, ENTRYPOINT, config),
        }
    }

    /// What there is at a path.
    fn look(path: &CStr) -> File {
        if !file::is_file(path) {
            File::None
        } else if file::executable(path).is_ok() {
            File::Executable
        } else {
            File::Plain
        }
    }
}
