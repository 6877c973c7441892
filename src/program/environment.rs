//! The environment that a program is started with: the process's own variables, then those of the call.

use super::cgi;
use super::settings::Stay;
use super::variables::{self, Owner, VARIABLE_BYTES_MAX};
use crate::bytes;
use crate::handler::Platform;
use crate::sys::env;
use crate::sys::fd::Errno;
use crate::sys::strings::{Mark, Strings};

/// The strings that `execve(2)` is given.
#[derive(Debug)]
pub struct Environment {
    strings: Strings,
    /// Behind those of the process that every program gets.
    own: Mark,
    /// Whether the process has others, which a request could set.
    has_more: bool,
    platform: Platform,
    stay: Stay,
    /// Names of those that programs are told otherwise.
    replaced: &'static [u8],
}

/// Room for all strings: the kernel's own limit is a quarter of that of the stack, which is 8 MiB (execve(2)).
/// It costs memory where it is used.
const ROOM_BYTES: usize = 2 * 1024 * 1024 + VARIABLE_BYTES_MAX;

impl Environment {
    /// None yet. Those of the process with the names that are `replaced` no program gets.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(platform: Platform, stay: Stay, replaced: &'static [u8]) -> Result<Self, Errno> {
        let strings = Strings::new(ROOM_BYTES)?;
        Ok(Self {
            own: strings.mark(),
            strings,
            has_more: false,
            platform,
            stay,
            replaced,
        })
    }

    /// Takes the variables of the process, but for those that tell of a call. A program that stays also gets those
    /// that the process has where no call says otherwise.
    ///
    /// # Errors
    /// More variables than the kernel takes.
    pub fn take_own(&mut self) -> Result<(), Errno> {
        self.put_own(false);
        self.own = self.strings.mark();
        self.has_more = self.put_own(true);
        self.strings.check()
    }

    /// Whether what is started with it serves many calls. The build without functions has no code for that.
    pub fn stays(&self) -> bool {
        cfg!(feature = "function") && self.stay == Stay::Resident
    }

    /// Appends those variables of the process that a request could set, or those that it could not. Returns
    /// whether there are such.
    fn put_own(&mut self, are_of_request: bool) -> bool {
        let mut has_some = false;
        for variable in env::variables() {
            let name = bytes::before(variable, b'=');
            if bytes::split(self.replaced, b' ').any(|other| other == name) {
                continue;
            }
            let is_own = cgi::is_of_request(name) == are_of_request
                && match variables::owner(self.platform, name) {
                    Owner::Process => true,
                    Owner::Both => self.stay != Stay::OneEvent,
                    Owner::Call => false,
                };
            if is_own {
                self.strings.put(variable);
                has_some = true;
            }
        }
        has_some
    }

    /// The same with the variables of a call, each of which ends with a NUL. If it is about a request, what the
    /// process has of the same names is not about that one.
    pub fn of_call(&mut self, variables: &[u8], is_request: bool) -> &Strings {
        self.strings.truncate(self.own);
        if self.has_more && !is_request {
            self.put_own(true);
        }
        for variable in bytes::split(variables, 0) {
            if !variable.is_empty() {
                self.strings.put(variable);
            }
        }
        self.strings.complete();
        &self.strings
    }
}
