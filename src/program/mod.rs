//! Functions that are programs: what they are started with, and what their failures are.
//!
//! [`variables`] is what a program is told about a call, [`cgi`] what it is told about an HTTP request
//! besides. [`kinds`] finds the type of a failure in what the program wrote. [`words`] splits a command
//! line, [`find`] tells which file a function is in.

#[allow(dead_code, reason = "no kind of program calls it yet")]
pub mod cgi;
#[allow(dead_code, reason = "no kind of program calls it yet")]
pub mod find;
#[allow(dead_code, reason = "no kind of program calls it yet")]
pub mod kinds;
#[allow(dead_code, reason = "no kind of program calls it yet")]
pub mod variables;
#[allow(dead_code, reason = "no kind of program calls it yet")]
pub mod words;
