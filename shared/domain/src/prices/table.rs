//! The form of a price table: CSV without quotes, of which a row is a model. Called by `Prices::parse`. Pure.

use rust_decimal::Decimal;

use super::Price;

pub(super) const HEADER: &str =
    "provider,model,input_per_million,output_per_million,cached_input_per_million,context_window,max_output";
/// Columns that a table may have behind these, in any order; a row may end before them.
const MORE_COLUMNS: [&str; 2] = [IMAGE_OUTPUT, PER_REQUEST];
/// What a million output tokens cost that images take.
const IMAGE_OUTPUT: &str = "image_output_per_million";
/// What a request costs, whatever it says.
const PER_REQUEST: &str = "per_request";

/// The highest price that a table may name, in USD for a million tokens; keeps products of prices from overflowing.
const HIGHEST_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// The columns of a table behind the usual ones.
pub(super) fn more_columns(header: &str) -> Result<Vec<&str>, String> {
    let wrong = || format!("the header must be {HEADER}, and may go on with {}", MORE_COLUMNS.join(" or "));
    let rest = header.trim().strip_prefix(HEADER).ok_or_else(wrong)?;
    let mut names = rest.split(',');
    let more: Vec<&str> = if names.next() == Some("") { names.collect() } else { return Err(wrong()) };
    if more.iter().all(|name| MORE_COLUMNS.contains(name)) { Ok(more) } else { Err(wrong()) }
}

pub(super) fn parse_row(line: &str, more: &[&str]) -> Result<Price, String> {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    let (usual, further) = cells.split_at(cells.len().min(7));
    let (&[provider, model, input, output, cached_input, context_window, max_output], true) =
        (usual, further.len() <= more.len())
    else {
        return Err(format!("{} cells instead of 7 to {}", cells.len(), 7 + more.len()));
    };
    let further = |column: &str| {
        let place = more.iter().position(|name| *name == column)?;
        further.get(place).copied().filter(|cell| !cell.is_empty())
    };
    let money = |name: &str, cell: &str| {
        let amount = Decimal::from_str_exact(cell).map_err(|_| format!("{name} is not a number"))?;
        if amount.is_sign_negative() {
            return Err(format!("{name} is negative"));
        }
        if amount > HIGHEST_PRICE { Err(format!("{name} is above {HIGHEST_PRICE}")) } else { Ok(amount) }
    };
    let count = |name: &str, cell: &str| match cell {
        "" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| format!("{name} is not a whole number")),
    };
    let input = money("input_per_million", input)?;
    Ok(Price {
        provider: provider.to_owned(),
        model: model.to_owned(),
        input,
        output: money("output_per_million", output)?,
        image_output: further(IMAGE_OUTPUT).map(|cell| money(IMAGE_OUTPUT, cell)).transpose()?,
        cached_input: if cached_input.is_empty() { input } else { money("cached_input_per_million", cached_input)? },
        request: further(PER_REQUEST).map_or(Ok(Decimal::ZERO), |cell| money(PER_REQUEST, cell))?,
        context_window: count("context_window", context_window)?,
        max_output: count("max_output", max_output)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Prices;
    use super::*;

    #[test]
    fn a_table_from_before_there_were_searches_is_read() {
        let table = |header: &str, row: &str| Prices::parse(&format!("{header}\n{row}"), "2026-01-01");
        let with = format!("{HEADER},{PER_REQUEST}");
        assert_eq!(table(HEADER, "openai,x,1,2,,,").unwrap().rows()[0].request, Decimal::ZERO);
        assert_eq!(table(&with, "openai,x,1,2,,,").unwrap().rows()[0].request, Decimal::ZERO);
        assert_eq!(table(&with, "exa,search,0,0,,,0,0.007").unwrap().rows()[0].of_request().to_string(), "0.007");
        for header in [format!("{with},more"), format!("{HEADER}more"), "provider".to_owned()] {
            assert_eq!(table(&header, "openai,x,1,2,,,").unwrap_err().line, 1, "{header}");
        }
        for row in ["exa,search,0,0,,,0,-1", "exa,search,0,0,,,0,x", "exa,search,0,0,,,0,1,2"] {
            assert_eq!(table(&with, row).unwrap_err().line, 2, "{row}");
        }
    }
}
