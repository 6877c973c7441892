//! fnboot: turns a function into a cloud function. (Under construction.)
#![no_std]
