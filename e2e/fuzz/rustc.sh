#!/usr/bin/env bash
# The compiler as `cargo` calls it for the fuzzing targets: our own crates, and those that read for them, count where
# they have been and what they compare, for libFuzzer.
compiler=$1
shift
name=
previous=
for argument in "$@"; do
  [ "$previous" != --crate-name ] || name=$argument
  previous=$argument
done
case " $* " in
*" --target "*) ;;
# Build scripts and macros run on the side of the compiler.
*) exec "$compiler" "$@" ;;
esac
case $name in
ferrule_proto | libfuzzer_sys) ;;
ferrule_* | serde_json | serde_yaml | unsafe_libyaml | saphyr_parser | jiff | hickory_proto | tar | serde_urlencoded | form_urlencoded)
  exec "$compiler" "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
  ;;
esac
exec "$compiler" "$@"
