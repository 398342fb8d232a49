//! The benchmarks of the data path and of the set-up, one after the other.

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{relay, scale, setup};

/// relay, scale and setup, shorter than each by itself: some three minutes
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// In JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Measures as much as can be: failure if something could not.
    pub(super) fn run(&self) -> Result<ExitCode> {
        let mut all = Map::new();
        let good = [
            self.add(&mut all, "relay", || relay::Arguments::brief().outcome())?,
            self.add(&mut all, "scale", || scale::Arguments::brief().outcome())?,
            self.add(&mut all, "setup", || setup::Arguments::brief().outcome())?,
        ];
        if self.json {
            println!("{}", Value::Object(all));
        }
        Ok(if good.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn add<T: Display + Serialize>(
        &self,
        all: &mut Map<String, Value>,
        name: &str,
        measure: impl FnOnce() -> Result<T>,
    ) -> Result<bool> {
        let outcome = measure();
        let good = outcome.is_ok();
        let value = match &outcome {
            Ok(outcome) => serde_json::to_value(outcome)?,
            Err(error) => serde_json::json!({ "error": format!("{error:#}") }),
        };
        all.insert(name.to_owned(), value);
        match outcome {
            Ok(outcome) if !self.json => println!("{name}\n{outcome}"),
            Ok(_) => {}
            Err(error) => eprintln!("testbed: bench {name}: {error:#}"),
        }
        Ok(good)
    }
}
