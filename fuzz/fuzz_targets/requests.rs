//! `kvick_fuzz::requests`, for libFuzzer or for the files that are named.
#![cfg_attr(fuzzing, no_main)]

kvick_fuzz::target!(requests);
