//! `kvick_fuzz::typed_values`, for libFuzzer or for the files that are named.
#![cfg_attr(fuzzing, no_main)]

kvick_fuzz::target!(typed_values);
