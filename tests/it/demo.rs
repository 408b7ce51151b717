//! The main job, from outside: what `make demo` runs, with the binary of the tests.

#[test]
fn a_workflow_fills_in_a_real_window_and_reads_its_answer() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/demo/run.sh");
    let done = std::process::Command::new("bash").args([script, env!("CARGO_BIN_EXE_trae")]).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{complained}");
    for expected in ["the window got: Zoë Müller-Lüdenscheidt|4711", "The desk answered: Answer: accepted", "after.png"] {
        assert!(said.contains(expected), "{expected:?} is missing from:\n{said}");
    }
}
