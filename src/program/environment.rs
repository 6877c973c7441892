//! The environment that a program is started with: the process's own variables, then those of the call.

use super::calls::Stay;
use super::cgi;
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
    /// Behind those of the process.
    own: Mark,
}

/// Room for all strings: the kernel's own limit is a quarter of that of the stack, which is 8 MiB (execve(2)).
/// It costs memory where it is used.
const ROOM_BYTES: usize = 2 * 1024 * 1024 + VARIABLE_BYTES_MAX;

impl Environment {
    /// The variables of the process, but for those that tell of a call. A program that stays also gets those that
    /// the process has where no call says otherwise.
    ///
    /// # Errors
    /// Out of memory, or more variables than the kernel takes.
    pub fn new(platform: Platform, stay: Stay) -> Result<Self, Errno> {
        let mut strings = Strings::new(ROOM_BYTES)?;
        for variable in env::variables() {
            let name = bytes::before(variable, b'=');
            // What this process has is about another request, if about any.
            if cgi::is_of_request(name) && !name.starts_with(b"HTTP_") {
                continue;
            }
            match variables::owner(platform, name) {
                Owner::Process => strings.put(&[variable])?,
                Owner::Both if stay == Stay::Resident => strings.put(&[variable])?,
                Owner::Both | Owner::Call => {}
            }
        }
        let own = strings.mark();
        Ok(Self { strings, own })
    }

    /// The same with the variables of a call, each of which ends with a NUL.
    ///
    /// # Errors
    /// More variables than the kernel takes.
    pub fn of_call(&mut self, variables: &[u8]) -> Result<&Strings, Errno> {
        self.strings.truncate(self.own);
        for variable in bytes::split(variables, 0) {
            if !variable.is_empty() {
                self.strings.put(&[variable])?;
            }
        }
        Ok(&self.strings)
    }
}
