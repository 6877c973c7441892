//! What a platform promises a program, as tables: its environment variables, and the headers of a call.

use crate::function::Function;
use crate::http::set;
use crate::id;
use hyper::HeaderMap;
use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// A name, and what stands there.
pub(crate) type Row = (&'static str, Value);

/// What a variable or a header is filled with. A row without a value is left out.
pub(crate) enum Value {
    Text(&'static str),
    /// A variable of the tool's own environment, so that a function which calls a cloud service can
    /// be tried, or this.
    Own(&'static str, &'static str),
    /// Access key id, access key secret, session token.
    Key(usize),
    FunctionName,
    MemoryMb,
    TimeoutSeconds,
    TimeoutMs,
    /// Calls at the same time, where the settings say so.
    Concurrency,
    Handler,
    CodePath,
    InstanceId,
    RequestId,
    /// Where the program listens, or where the runtime API does.
    Address,
    Ip,
    Port,
    DeadlineMs,
    /// A UUID of the call's own, on instances that take several calls.
    ParallelId,
    /// What a function makes of it.
    Made(fn(&Told) -> String),
}

/// What the values are taken from.
pub(crate) struct Told<'a> {
    pub(crate) function: &'a Function,
    pub(crate) instance_id: &'a str,
    pub(crate) address: SocketAddr,
    /// Empty where there is no call.
    pub(crate) request_id: &'a str,
}

/// The three variables in which a platform hands over the keys of a function's role, and invented ones.
pub(crate) struct Keys {
    pub(crate) names: [&'static str; 3],
    pub(crate) invented: [&'static str; 3],
}

impl Keys {
    /// The environment's own if one of the two keys is there, else invented ones. Never a mixture,
    /// because no service takes real keys with an invented token. Empty is not set.
    fn values(&self) -> [Option<String>; 3] {
        let own = |name| env::var(name).ok().filter(|value| !value.is_empty());
        match self.names.map(own) {
            [None, None, _] => self.invented.map(|value| Some(value.to_owned())),
            own => own,
        }
    }

    /// A table's rows that have a value: the variables of a program.
    pub(crate) fn fill(&self, table: &[Row], told: &Told) -> Vec<(&'static str, OsString)> {
        let rows = table.iter();
        rows.filter_map(|(name, value)| Some((*name, value.fill(self, told)?)))
            .collect()
    }

    /// The headers of a call. One whose value no header can carry is left out.
    pub(crate) fn headers(&self, table: &[Row], told: &Told) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(table.len());
        for (name, value) in self.fill(table, told) {
            if let Some(value) = value.to_str() {
                set(&mut headers, name, value);
            }
        }
        headers
    }
}

impl Value {
    fn fill(&self, keys: &Keys, told: &Told) -> Option<OsString> {
        let function = told.function;
        let text = match self {
            Self::Text(text) => (*text).to_owned(),
            Self::Own(name, default) => own(name).unwrap_or_else(|| (*default).to_owned()),
            Self::Key(index) => keys.values().into_iter().nth(*index)??,
            Self::FunctionName => function.name.clone(),
            Self::MemoryMb => function.memory_mb.to_string(),
            Self::TimeoutSeconds => function.timeout.as_secs().to_string(),
            Self::TimeoutMs => function.timeout.as_millis().to_string(),
            Self::Concurrency => function.concurrency?.to_string(),
            Self::Handler => function.handler.clone()?,
            Self::CodePath => return Some(function.code_path().into()),
            Self::InstanceId => told.instance_id.to_owned(),
            Self::RequestId => told.request_id.to_owned(),
            Self::Address => told.address.to_string(),
            Self::Ip => told.address.ip().to_string(),
            Self::Port => told.address.port().to_string(),
            Self::DeadlineMs => unix_ms(SystemTime::now() + function.timeout).to_string(),
            Self::ParallelId => function.concurrency.map(|_| id::uuid())?,
            Self::Made(make) => make(told),
        };
        Some(text.into())
    }
}

/// A variable of the tool's own environment.
pub(crate) fn own(name: &str) -> Option<String> {
    env::var(name).ok()
}

pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_filled_or_left_out() {
        let keys = Keys {
            names: [""; 3],
            invented: [""; 3],
        };
        let function = Function {
            name: "two\nlines".to_owned(),
            ..Function::default()
        };
        let told = Told {
            function: &function,
            instance_id: "i",
            address: ([127, 0, 0, 1], 9001).into(),
            request_id: "r",
        };
        let table = [
            ("a", Value::Address),
            ("h", Value::Handler),
            ("n", Value::FunctionName),
        ];
        let values = keys.fill(&table, &told);
        let want = [("a", "127.0.0.1:9001".into()), ("n", "two\nlines".into())];
        assert_eq!(values, want, "there is no handler");
        let headers = keys.headers(&table, &told);
        assert_eq!(headers.len(), 1, "no header can carry the name");
    }
}
