//! What a panic leaves in the log.

use acm2_runtime::{panic_report, telemetry};

use crate::logs::{Lines, log};

#[test]
fn a_panic_is_logged_with_its_place_and_without_its_message() {
    let lines = Lines::default();
    let before = std::panic::take_hook();
    panic_report::install();
    tracing::subscriber::with_default(telemetry::subscriber(&log("info"), false, lines.clone()), || {
        let caught = std::panic::catch_unwind(|| panic!("the key is {}", "hunter2"));
        assert!(caught.is_err());
    });
    std::panic::set_hook(before);

    let text = lines.text();
    assert!(!text.contains("hunter2") && !text.contains("the key is"), "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert!(line["panic.file"].as_str().is_some_and(|file| file.ends_with("panics.rs")), "{line}");
    assert!(line["panic.line"].as_u64().is_some_and(|number| number > 0), "{line}");
}
