//! docs/configuration.md, printed from the table of settings.

use super::local_keys;
use super::settings::{SETTINGS, Setting, Shown};

const HEAD: &str = "# Configuration

ACM2 is configured by variables of the environment and by nothing else. Printed from the table in
`shared/runtime/src/config/settings.rs`; a test compares. `acm2 config` shows what holds, without secrets;
`acm2 doctor` tries it out. All that is wrong is said at once, and a misspelt `ACM2_…` name is an error.
A variable that is set to nothing counts as not set.
";

const PROVIDERS: &str = "
## Providers

| setting | default | meaning |
|---|---|---|
| `ACM2_PROVIDERS__<SLUG>__BASE_URL` | the provider's own | Another base URL for every call to this provider, for a proxy or a test server: `ACM2_PROVIDERS__OPENAI__BASE_URL`. The slug in capitals, `-` as `_`. |
";

/// The text of docs/configuration.md.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for (title, group) in SETTINGS {
        text.extend(["\n## ", title, "\n\n| setting | default | meaning |\n|---|---|---|\n"]);
        text.extend(group.iter().map(|setting| row(setting)));
    }
    text += PROVIDERS;
    text += "\nIn the mode `local` these variables are read too, and imported as provider keys of the local tenant:\n";
    let names: Vec<String> = local_keys::variables().map(|(_, name)| format!("`{name}`")).collect();
    text.extend([&names.join(", "), ". The mode `hosted` never reads them.\n"]);
    text
}

fn row(setting: &Setting) -> String {
    let alias = setting.alias.map(|alias| format!(" or `{alias}`")).unwrap_or_default();
    let default = match (setting.default, setting.otherwise) {
        ("", "") => "not set".to_owned(),
        ("", words) => words.to_owned(),
        (value, _) => format!("`{value}`"),
    };
    let shown = match setting.shown {
        Shown::Plain => "",
        Shown::Url => " Its password is never shown.",
        Shown::Never => " A secret: never shown.",
    };
    format!("| `{}`{alias} | {default} | {}{shown} |\n", setting.name, setting.doc)
}
