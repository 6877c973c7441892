//! What the process was started with: its environment, its arguments, its own path.
//!
//! Not what C calls `environ`: that names strings which a safe function of std frees (`set_var`).
//! Without std these are the strings that the kernel put on the initial stack, where they stay; with
//! std a copy.

use core::ffi::{CStr, c_char, c_int};

#[cfg(feature = "std")]
pub use with_std::{auxiliary, export, export_trace_id};

#[cfg(feature = "std")]
use with_std::starting;
#[cfg(not(feature = "std"))]
use without_std::starting;
#[cfg(not(feature = "std"))]
pub use without_std::{auxiliary, export, remember};

/// The bytes of a variable, `None` where it was not set.
pub fn var(name: &[u8]) -> Option<&'static [u8]> {
    starting(name).find_map(|rest| match rest {
        [b'=', value @ ..] => Some(value),
        _ => None,
    })
}

/// What follows `prefix` in the names of variables that begin with it.
pub fn names_after(prefix: &[u8]) -> impl Iterator<Item = &'static [u8]> {
    starting(prefix).map(|rest| rest.split(|&byte| byte == b'=').next().unwrap_or_default())
}

/// Whether there is a variable whose name begins with `prefix`.
pub fn has_any(prefix: &[u8]) -> bool {
    starting(prefix).next().is_some()
}

/// Every string of the environment, `NAME=value`.
pub fn variables() -> impl Iterator<Item = &'static [u8]> {
    starting(b"")
}

/// Whether the program was started under that file name: by the path that `execve(2)` was given, which
/// no caller can make up, as it can the first argument.
pub fn is_program(name: &str) -> bool {
    let Some(path) = auxiliary(libc::AT_EXECFN) else {
        return false;
    };
    let path = core::ptr::with_exposed_provenance(path);
    // SAFETY: an entry of that type is a string that ends with a NUL and stays (getauxval(3)).
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    path.rsplit(|&byte| byte == b'/').next() == Some(name.as_bytes())
}

/// The arguments of the process, the program's own name first.
#[derive(Clone, Copy, Debug)]
pub struct Args(&'static [*const c_char]);

impl Args {
    /// What `main` was called with. Without std this also remembers where the environment is, for
    /// [`var`].
    ///
    /// # Safety
    /// `argv` points to `argc` strings and a null, then come the strings of the environment and a
    /// null, then the auxiliary vector: so Linux starts a program, and so every C library calls `main`
    /// (elf(5), getauxval(3)). All of it stays as it is for ever: in a program without std nothing
    /// calls `setenv(3)` or `unsetenv(3)`, which are unsafe and would change it in place.
    #[allow(
        clippy::similar_names,
        reason = "the names that every C program has for them"
    )]
    #[must_use]
    pub unsafe fn new(argc: c_int, argv: *const *const c_char) -> Self {
        let count = usize::try_from(argc).unwrap_or(0);
        #[cfg(not(feature = "std"))]
        {
            // SAFETY: the caller's promise: behind the arguments there is a null, and then this.
            let environment = unsafe { argv.add(count + 1) };
            // SAFETY: the caller's promise.
            unsafe { remember(environment) };
        }
        // SAFETY: the caller's promise.
        Self(unsafe { core::slice::from_raw_parts(argv, count) })
    }

    /// The argument at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'static [u8]> {
        let argument = *self.0.get(index)?;
        // SAFETY: the promise that `Args` was made under.
        Some(unsafe { CStr::from_ptr(argument) }.to_bytes())
    }
}

#[cfg(not(feature = "std"))]
mod without_std {
    use core::ffi::{CStr, c_char, c_ulong};
    use core::iter;
    use core::ptr;
    use core::sync::atomic::{AtomicPtr, Ordering};

    /// The initial environment: strings of the form `NAME=value`, then a null.
    ///
    /// Invariant: null, or what [`super::Args::new`] was promised.
    static ENVIRONMENT: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

    /// Remembers where the environment is.
    ///
    /// # Safety
    /// What [`super::Args::new`] asks of what lies behind the arguments.
    pub unsafe fn remember(environment: *const *const c_char) {
        ENVIRONMENT.store(environment.cast_mut(), Ordering::Relaxed);
    }

    /// The strings of the environment. In a program that has another start, such as a test, there
    /// are none.
    fn strings() -> impl Iterator<Item = *const c_char> {
        let mut next: *const *const c_char = ENVIRONMENT.load(Ordering::Relaxed);
        iter::from_fn(move || {
            if next.is_null() {
                return None;
            }
            // SAFETY: the invariant of `ENVIRONMENT`, and no null came before this one.
            let string = unsafe { *next };
            if string.is_null() {
                return None;
            }
            // SAFETY: this was not the null at the end.
            next = unsafe { next.add(1) };
            Some(string)
        })
    }

    /// What follows `prefix` in the strings that begin with it.
    pub(super) fn starting(prefix: &[u8]) -> impl Iterator<Item = &'static [u8]> {
        strings().filter_map(|string| rest(string, prefix))
    }

    /// What follows `prefix` in `string`, if it begins with that.
    ///
    /// Compared byte by byte: the length of a string is not known, and finding it out for all of
    /// them would be most of the work that a start is.
    fn rest(string: *const c_char, prefix: &[u8]) -> Option<&'static [u8]> {
        let mut at = string.cast::<u8>();
        for &byte in prefix {
            // SAFETY: no byte before `at` was the NUL that ends the string, so `at` is inside it.
            if byte == 0 || unsafe { *at } != byte {
                return None;
            }
            // SAFETY: that byte was no NUL, so there is another one.
            at = unsafe { at.add(1) };
        }
        // SAFETY: the rest of the string ends with its NUL, and stays (`ENVIRONMENT`).
        Some(unsafe { CStr::from_ptr(at.cast()) }.to_bytes())
    }

    /// The value of that type in the auxiliary vector, which lies behind the null at the end of the
    /// environment (getauxval(3)).
    pub fn auxiliary(kind: c_ulong) -> Option<usize> {
        let count = strings().count();
        let environment = ENVIRONMENT.load(Ordering::Relaxed);
        if environment.is_null() {
            return None;
        }
        // SAFETY: the invariant of `ENVIRONMENT`: behind `count` strings is a null, and then the
        // vector.
        let mut pair = unsafe { environment.add(count + 1) }.cast::<[usize; 2]>();
        loop {
            // SAFETY: the vector ends with a pair of type zero, behind which nothing is read.
            match unsafe { *pair } {
                [0, _] => return None,
                [other, value] if other == kind as usize => return Some(value),
                // SAFETY: this was not the last pair.
                _ => pair = unsafe { pair.add(1) },
            }
        }
    }

    /// Nothing: without std nothing that is linked in reads it.
    pub fn export<'a>(_name: &str, _value: impl FnOnce() -> Option<&'a str>) {}
}

#[cfg(feature = "std")]
mod with_std {
    use core::ffi::c_ulong;
    use core::sync::atomic::{AtomicBool, Ordering};
    use std::sync::OnceLock;
    use std::vec::Vec;

    /// The environment as it was when it was first asked for, which is when `run` was called: a copy,
    /// because what std has can be changed, and then is freed.
    fn strings() -> &'static [Vec<u8>] {
        static STRINGS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
        STRINGS.get_or_init(|| {
            let join = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
                [name.as_encoded_bytes(), b"=", value.as_encoded_bytes()].concat()
            };
            std::env::vars_os().map(join).collect()
        })
    }

    /// What follows `prefix` in the strings that begin with it.
    pub(super) fn starting(prefix: &[u8]) -> impl Iterator<Item = &'static [u8]> {
        strings()
            .iter()
            .filter_map(move |string| string.strip_prefix(prefix))
    }

    /// `getauxval(3)`: the value of that type in the auxiliary vector.
    pub fn auxiliary(kind: c_ulong) -> Option<usize> {
        // SAFETY: getauxval(3) takes no pointer, and zero is what it returns for an unknown type.
        let value = unsafe { libc::getauxval(kind) } as usize;
        (value != 0).then_some(value)
    }

    static EXPORTS: AtomicBool = AtomicBool::new(false);

    /// On Lambda, from now on, sets the variable `_X_AMZN_TRACE_ID` to the trace of each event before
    /// the handler is called: for libraries that look for it there, as AWS's X-Ray SDKs do. A
    /// handler itself asks [`Context::trace_id`](crate::Context::trace_id).
    ///
    /// Only in programs with std, and not on Managed Instances, where an instance has several events
    /// at once.
    ///
    /// # Safety
    /// While events are served, no other thread reads or changes the environment but by
    /// [`mod@std::env`], which has a lock for it. C libraries do read it, for instance to resolve a host
    /// name.
    ///
    /// ```no_run
    /// # use fnboot::{Context, Error, Handler};
    /// # struct Hello;
    /// # impl Handler for Hello {
    /// #     fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
    /// #         Ok(event)
    /// #     }
    /// # }
    /// fn main() {
    ///     // SAFETY: this program has no other thread.
    ///     unsafe { fnboot::export_trace_id() };
    ///     fnboot::run(Hello)
    /// }
    /// ```
    pub unsafe fn export_trace_id() {
        EXPORTS.store(true, Ordering::Relaxed);
    }

    /// Sets a variable, or takes it away, if the program has allowed it.
    pub fn export<'a>(name: &str, value: impl FnOnce() -> Option<&'a str>) {
        if !EXPORTS.load(Ordering::Relaxed) {
            return;
        }
        match value() {
            // SAFETY: the promise under which `export_trace_id` was called.
            Some(value) => unsafe { std::env::set_var(name, value) },
            // SAFETY: as above.
            None => unsafe { std::env::remove_var(name) },
        }
    }
}
