//! The models of the load, all of them the sandbox's behaviours, and the price table that makes those that have a price fit for
//! ceilings and budgets. `orders` and `fault` choose among them; `world` gives the table to the processes.

/// Models that answer and have a price.
pub(crate) const PRICED: [&str; 5] =
    ["sandbox/echo", "sandbox/fast", "sandbox/slow-250ms", "openai/echo", "sandbox/slow-1s"];
/// Models that answer and have none: their runs have no ceiling and no budget.
pub(crate) const UNPRICED: [&str; 2] = ["openai/slow-250ms", "sandbox/slow-500ms"];

/// A call is never answered.
pub(crate) const HANGING: &[&str] = &["sandbox/hang"];
/// Refused for its rate.
pub(crate) const LIMITING: &[&str] = &["sandbox/fail-429-then-ok", "sandbox/fail-429"];
/// The provider's own failures.
pub(crate) const FAILING: &[&str] = &["sandbox/fail-500-then-ok", "sandbox/fail-503-times-2"];
/// The answer ends in the middle, or never begins.
pub(crate) const CUTTING: &[&str] = &["sandbox/cut", "sandbox/cut-before", "sandbox/reset"];
/// What stands beside each of the models that fail.
pub(crate) const BESIDE: &str = "sandbox/echo";

/// What the sandbox takes for tokens, in millionths of a US dollar.
pub(crate) const INPUT_TOKEN: i64 = 1;
/// The same for tokens of an answer.
pub(crate) const OUTPUT_TOKEN: i64 = 2;

/// The price table: every model but those of `UNPRICED`, at what the sandbox takes.
pub(crate) fn price_table() -> String {
    let mut table = "provider,model,input_per_million,output_per_million,cached_input_per_million,context_window,\
                     max_output\n"
        .to_owned();
    for model in PRICED.iter().chain(HANGING).chain(LIMITING).chain(FAILING).chain(CUTTING) {
        let row = format!("{},{INPUT_TOKEN},{OUTPUT_TOKEN},,128000,4096\n", model.replacen('/', ",", 1));
        table.push_str(&row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_model_but_those_without_a_price() {
        let table = price_table();
        let rows: Vec<&str> = table.lines().skip(1).collect();
        assert_eq!(rows.len(), PRICED.len() + 8);
        assert!(rows.contains(&"openai,echo,1,2,,128000,4096"), "{table}");
        assert!(UNPRICED.iter().all(|model| !table.contains(&model.replace('/', ","))), "{table}");
        assert!(PRICED.contains(&BESIDE));
    }
}
