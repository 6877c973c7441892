//! Plays the platform for one function: starts its instances, counts what happens to its events.

use super::counters::Counters;
use super::dialect::Dialect;
use super::failure::Failure;
use super::flaky::Flaky;
use super::instance::{Call, Instance, Outcome};
use crate::function::Function;
use crate::terminal::say;
use crate::warm::{Launch, Warm};
use std::error::Error;
use std::future::pending;
use std::marker::PhantomData;
use std::rc::Rc;
use tokio::task::spawn_local;

pub(crate) struct Player<D> {
    function: Rc<Function>,
    flaky: Flaky,
    counters: Rc<Counters>,
    dialect: PhantomData<D>,
}

impl<D: Dialect> Player<D> {
    pub(crate) fn new(function: Rc<Function>, flaky: Flaky) -> Self {
        Self {
            function,
            flaky,
            counters: Rc::default(),
            dialect: PhantomData,
        }
    }

    pub(crate) async fn start(&self) -> Result<Instance<D>, Failure> {
        Instance::start(&self.function, self.flaky, &self.counters).await
    }

    /// Puts a warm instance behind the player.
    pub(crate) fn stage(self) -> Stage<D> {
        let concurrency = self.function.concurrency.unwrap_or(1);
        Stage {
            counters: Rc::clone(&self.counters),
            warm: Rc::new(Warm::new(self, concurrency)),
        }
    }
}

impl<D: Dialect> Launch for Player<D> {
    type Instance = Instance<D>;
    type Failure = Failure;

    fn function(&self) -> &Function {
        &self.function
    }

    async fn launch(&self) -> Result<Instance<D>, Failure> {
        self.start().await
    }
}

/// A player with a warm instance: what a gateway of a polled platform has behind it.
pub(crate) struct Stage<D: Dialect> {
    pub(crate) counters: Rc<Counters>,
    warm: Rc<Warm<Player<D>>>,
}

impl<D: Dialect> Stage<D> {
    /// Starts the instance before the first call.
    pub(crate) async fn warm_up(&self) -> Result<(), Box<dyn Error>> {
        let Err(failure) = self.warm.lease().await else {
            return Ok(());
        };
        Err(match &failure {
            Failure::StartReported(reported) => {
                format!("{failure}: {}", String::from_utf8_lossy(&reported.body))
            }
            _ => failure.to_string(),
        }
        .into())
    }

    /// Has one event answered; who comes while the instance is busy waits. A caller that leaves does not
    /// end the call: the instance stays busy with it.
    pub(crate) async fn call(&self, call: Call) -> Outcome {
        let warm = Rc::clone(&self.warm);
        let outcome = spawn_local(async move {
            match warm.lease().await {
                Ok(lease) => lease.instance().call(call).await,
                Err(failure) => {
                    say(format_args!("fnboot: {} {failure}", call.request_id));
                    Outcome {
                        result: Err(failure),
                        log: Vec::new(),
                    }
                }
            }
        });
        match outcome.await {
            Ok(outcome) => outcome,
            // A task is lost only when it panics, and then the whole tool ends.
            Err(_) => pending().await,
        }
    }

    /// Stops the instance; says what happened to the events.
    pub(crate) async fn stop(&self) {
        self.warm.stop().await;
        say(format_args!("Events: {}", self.counters));
    }
}
