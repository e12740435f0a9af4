//! What a call may cost before it is made: its reservation, and the limit of its output that keeps it under the run's ceiling.

use acm2_domain::call::Call;
use acm2_domain::money::Usd;
use acm2_domain::prices::{Price, worst_case};

use super::shares::Share;

/// What a call may cost and how long its answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reservation {
    /// The most that it can cost; `None` where that is unknown.
    pub(super) amount: Option<Usd>,
    /// The most tokens of its answer, where there is a limit.
    pub(super) max_output_tokens: Option<u32>,
}

/// The call does not fit under the ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// Not even one token of output can be paid for.
    CeilingReached,
    /// The model's price is not known.
    PriceUnknown,
}

/// Reserves without a ceiling: the worst case, where it is known.
pub(super) fn without_ceiling(call: &Call, price: Option<&Price>) -> Reservation {
    Reservation { amount: worst_case(call, price).amount, max_output_tokens: call.max_output_tokens }
}

/// Reserves under a ceiling that leaves `room` to this task and others. Each gets its share, so that the
/// first does not take all; where a share buys nothing, the first takes what it needs.
pub(super) fn under_ceiling(
    call: &Call,
    price: Option<&Price>,
    room: Usd,
    share: Share,
) -> Result<Reservation, NoRoom> {
    let price = price.ok_or(NoRoom::PriceUnknown)?;
    if call.image.is_some() {
        return whole(call, price, room);
    }
    let input = call.input_tokens_at_most();
    let part = share.of(room);
    let affordable = price
        .output_tokens_for(part, input)
        .or_else(|| price.output_tokens_for(room, input))
        .ok_or(NoRoom::CeilingReached)?;
    let output = worst_case(call, Some(price)).output_tokens.map_or(affordable, |most| most.min(affordable));
    let amount = price.at_most(input, output);
    Ok(Reservation { amount: Some(amount), max_output_tokens: Some(u32::try_from(output).unwrap_or(u32::MAX)) })
}

/// What cannot be cut short, an image, takes its worst case as it is or is not made at all, whoever else needs the room.
fn whole(call: &Call, price: &Price, room: Usd) -> Result<Reservation, NoRoom> {
    let amount = worst_case(call, Some(price)).amount.ok_or(NoRoom::PriceUnknown)?;
    if amount > room {
        return Err(NoRoom::CeilingReached);
    }
    Ok(Reservation { amount: Some(amount), max_output_tokens: call.max_output_tokens })
}

/// Reserves for a run without a ceiling of its own, for which budgets hold the worst case of every try of every task: each takes
/// its own worst case as it is. Only where tries were made beyond those, because workers died over them, is the rest shared.
pub(super) fn under_budgets(
    call: &Call,
    price: Option<&Price>,
    room: Usd,
    share: Share,
) -> Result<Reservation, NoRoom> {
    let worst = worst_case(call, price);
    match (worst.amount, worst.output_tokens) {
        (Some(amount), Some(output)) if amount <= room && call.image.is_none() => {
            Ok(Reservation { amount: Some(amount), max_output_tokens: Some(u32::try_from(output).unwrap_or(u32::MAX)) })
        }
        _ => under_ceiling(call, price, room, share),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use acm2_domain::call::{Message, Role, Sampling};
    use acm2_domain::image::ImageSpec;
    use acm2_domain::prices::Prices;
    use proptest::prelude::*;

    use super::*;

    fn call(prompt_bytes: usize, max_output_tokens: Option<u32>) -> Call {
        Call {
            provider: "openai".to_owned(),
            model: "gpt-4o".to_owned(),
            provider_key: None,
            system: None,
            messages: vec![Message { role: Role::User, content: "x".repeat(prompt_bytes) }],
            sampling: Sampling::default(),
            max_output_tokens,
            timeout: Duration::from_secs(1),
            max_retries: 0,
            expects: None,
            question: None,
            image: None,
        }
    }

    proptest! {
        #[test]
        fn a_reservation_never_exceeds_the_room(
            room in 0_i64..10_000_000_000_000, tasks in 0_u64..50, bytes in 0_usize..20_000,
            asked in proptest::option::of(1_u32..100_000),
        ) {
            let prices = Prices::built_in();
            let price = prices.find("openai", "gpt-4o");
            if let Ok(reservation) = under_ceiling(&call(bytes, asked), price, Usd::from_pico(room), Share { own: 1, total: tasks }) {
                prop_assert!(reservation.amount.unwrap() <= Usd::from_pico(room));
                prop_assert!(reservation.max_output_tokens.unwrap() >= 1);
                prop_assert!(asked.is_none_or(|asked| reservation.max_output_tokens.unwrap() <= asked));
                // A transaction that was applied after all finds its own reservation as its room, and no less in it.
                prop_assert_eq!(under_ceiling(&call(bytes, asked), price, reservation.amount.unwrap(), Share::WHOLE), Ok(reservation));
            }
            if let Ok(reservation) = under_budgets(&call(bytes, asked), price, Usd::from_pico(room), Share { own: 1, total: tasks }) {
                prop_assert!(reservation.amount.unwrap() <= Usd::from_pico(room));
                prop_assert_eq!(under_budgets(&call(bytes, asked), price, reservation.amount.unwrap(), Share::WHOLE), Ok(reservation));
            }
        }
    }

    #[test]
    fn an_unknown_price_has_no_room_under_a_ceiling() {
        assert_eq!(under_ceiling(&call(1, None), None, Usd::MAX, Share::WHOLE), Err(NoRoom::PriceUnknown));
    }

    #[test]
    fn what_budgets_hold_is_not_shared_evenly() {
        let prices = Prices::built_in();
        let price = prices.find("openai", "gpt-4o");
        let (short, long) = (call(100, Some(10)), call(100, Some(1_000)));
        let room = worst_case(&short, price).amount.unwrap() + worst_case(&long, price).amount.unwrap();
        let reservation = under_budgets(&long, price, room, Share { own: 1, total: 2 }).unwrap();
        assert_eq!(reservation.max_output_tokens, Some(1_000));
        assert_eq!(
            under_budgets(&short, price, room - reservation.amount.unwrap(), Share::WHOLE).unwrap().max_output_tokens,
            Some(10)
        );
    }

    #[test]
    fn an_image_is_paid_for_as_a_whole_or_not_made() {
        let prices = Prices::built_in();
        let image = Call { image: Some(ImageSpec::default()), ..call(100, Some(2_048)) };
        let price = prices.find_exact("openai", "gpt-image-2");
        // 132 tokens of input at 6.25 USD, 2,048 of the image at 30 USD for a million.
        let amount: Usd = "0.062265".parse().unwrap();
        for reserve in [under_ceiling, under_budgets] {
            let reserved = reserve(&image, price, amount, Share { own: 1, total: 7 }).unwrap();
            assert_eq!((reserved.amount, reserved.max_output_tokens), (Some(amount), Some(2_048)));
            assert_eq!(reserve(&image, price, amount - Usd::from_pico(1), Share::WHOLE), Err(NoRoom::CeilingReached));
            assert_eq!(
                reserve(&image, prices.find("openai", "gpt-4o"), Usd::MAX, Share::WHOLE),
                Err(NoRoom::PriceUnknown)
            );
        }
    }

    #[test]
    fn two_tasks_share_the_room() {
        let prices = Prices::built_in();
        let price = prices.find("openai", "gpt-4o");
        let room: Usd = "0.10".parse().unwrap();
        let first = under_ceiling(&call(100, None), price, room, Share { own: 1, total: 2 }).unwrap();
        let second = under_ceiling(&call(100, None), price, room - first.amount.unwrap(), Share::WHOLE);
        assert!(second.is_ok());
    }
}
