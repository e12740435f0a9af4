//! JSON with a long list in it, written item by item: together the pieces are what `serde_json` writes of the whole, laid out to be
//! read.

use serde::Serialize;

use crate::Failed;

/// What stands before the items and behind them: `whole` is the JSON in which the list `name`, one of its fields, is empty.
pub(super) fn around(whole: &str, name: &str, is_empty: bool) -> Result<(Vec<u8>, Vec<u8>), Failed> {
    // A field of its own stands at the begin of a line, two spaces in; texts hold no line breaks as such.
    let field = format!("\n  \"{name}\": [");
    let at = whole.find(&field).map(|at| at + field.len()).ok_or_else(|| {
        Failed::Json(<serde_json::Error as serde::ser::Error>::custom("the list of a file has no place"))
    })?;
    let (head, tail) = whole.split_at(at);
    let end = if is_empty { "" } else { "\n  " };
    Ok((head.as_bytes().to_vec(), format!("{end}{tail}").into_bytes()))
}

/// An item, with what stands between it and the one before.
pub(super) fn item(item: &impl Serialize, is_first: bool) -> Result<Vec<u8>, Failed> {
    let json = serde_json::to_string_pretty(item)?.replace('\n', "\n    ");
    Ok(format!("{}\n    {json}", if is_first { "" } else { "," }).into_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_pieces_are_the_whole() {
        let items = [json!({"a": "x\n  \"list\": [", "b": []}), json!([1, {"c": null}]), json!("y")];
        for count in 0..=items.len() {
            let of = |list: &[Value]| json!({"before": {"list": ["\n  \"list\": ["]}, "list": list, "then": [1]});
            let empty = serde_json::to_string_pretty(&of(&[])).unwrap();
            let (mut bytes, tail) = around(&empty, "list", count == 0).unwrap();
            for (at, one) in items[..count].iter().enumerate() {
                bytes.extend(item(one, at == 0).unwrap());
            }
            bytes.extend(tail);
            let whole = serde_json::to_string_pretty(&of(&items[..count])).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), whole);
        }
        assert!(around("{}", "list", true).is_err());
    }
}
