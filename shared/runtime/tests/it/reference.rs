//! docs/configuration.md is printed from the table of settings.

use acm2_runtime::config::reference;

use crate::tree;

const PATH: &str = "docs/configuration.md";

#[test]
fn the_documentation_of_the_settings_is_the_table() {
    let path = tree::root().join(PATH);
    #[expect(clippy::disallowed_methods, reason = "a switch of this test, not a setting")]
    let update = std::env::var_os("UPDATE").is_some();
    if update {
        std::fs::write(&path, reference()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == reference(),
        "{PATH} is not what the table of settings says; run `UPDATE=1 cargo test -p acm2-runtime reference` and commit it"
    );
}
