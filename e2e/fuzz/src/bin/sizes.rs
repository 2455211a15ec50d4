//! Judges large objects, and fails when one takes longer than 5 s.
//!
//! Linked as the targets are.

#![no_main]

use std::time::{Duration, Instant};

use ferrule_fuzz::sizes;
use ferrule_fuzz::targets::{objects, ownership, patches};

libfuzzer_sys::fuzz_target!(init: run(), |_data: &[u8]| {});

const MOST: Duration = Duration::from_secs(5);

/// What is done with a large object.
const TRIALS: [(&str, fn(&[u8]), fn(&str) -> String); 4] = [
    ("json", objects::json, |object| object.to_owned()),
    (
        "strategic merge patch",
        patches::strategic_merge_patch,
        |object| format!("{object}{object}{object}"),
    ),
    ("apply to nothing", ownership::apply, |object| {
        format!("null null {object}")
    }),
    ("apply", ownership::apply, |object| {
        format!("{object} null {object}")
    }),
];

fn run() {
    let (mut count, mut slowest, mut failed) = (0, Duration::ZERO, false);
    for (name, kind, object) in sizes::large() {
        for (trial, target, input) in TRIALS {
            let input = [&[kind][..], input(&object).as_bytes()].concat();
            let began = Instant::now();
            target(&input);
            let took = began.elapsed();
            count += 1;
            slowest = slowest.max(took);
            if took > MOST {
                failed = true;
                println!("{trial}: {name}: {:.1} s", took.as_secs_f64());
            }
        }
    }
    println!(
        "{count} trials of large objects, the slowest in {:.1} s",
        slowest.as_secs_f64()
    );
    std::process::exit(i32::from(failed));
}
