//! The example of TRAE as a library does what it says.

use std::path::Path;

use super::command::{Done, Folder};

#[test]
fn the_first_example_runs_a_script_and_prints_its_result() {
    let binary = Path::new(env!("CARGO_BIN_EXE_trae"));
    // Cargo builds the examples together with the tests.
    let example = binary.with_file_name("examples").join("hello");
    let folder = Folder::new();
    let done: Done = folder.command(&example).output().unwrap().into();
    assert_eq!((done.code, done.out.as_str()), (0, "\"Hello, 42\"\n"), "{done:?}");
}
