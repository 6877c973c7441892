//! What happened to the events, over all instances: how a test sees that nothing was lost or doubled.

use std::cell::Cell;
use std::fmt;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// Events handed to the platform.
    Submitted,
    /// Handed to the program for the first time.
    Delivered,
    /// Handed to it once more.
    Replayed,
    /// Settled by a result,
    Answered,
    /// by an error that the program reported,
    Errors,
    /// by a failure that the platform found.
    Failed,
    /// Requests of the program that the API refused, or took no notice of.
    Refused,
    /// The program's connections.
    Connections,
    /// Connections broken on purpose.
    Cut,
}

const ALL: [(Count, &str); 9] = [
    (Count::Submitted, "submitted"),
    (Count::Delivered, "delivered"),
    (Count::Replayed, "replayed"),
    (Count::Answered, "answered"),
    (Count::Errors, "errors"),
    (Count::Failed, "failed"),
    (Count::Refused, "refused"),
    (Count::Connections, "connections"),
    (Count::Cut, "cut"),
];

#[derive(Debug, Default)]
pub(crate) struct Counters([Cell<u64>; ALL.len()]);

impl Counters {
    pub(crate) fn add(&self, count: Count) {
        let cell = &self.0[count as usize];
        cell.set(cell.get() + 1);
    }

    pub(crate) fn get(&self, count: Count) -> u64 {
        self.0[count as usize].get()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        ALL.into_iter()
            .map(|(count, name)| (name.to_owned(), self.get(count).into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (count, name)) in ALL.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {name}", self.get(count))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_its_place() {
        for (index, (count, _)) in ALL.into_iter().enumerate() {
            assert_eq!(count as usize, index);
        }
        let counters = Counters::default();
        counters.add(Count::Replayed);
        assert!(counters.to_string().contains(", 1 replayed, 0 answered"));
        assert_eq!(counters.json()["replayed"], 1);
    }
}
