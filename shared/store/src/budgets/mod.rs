//! Budgets (PROTOCOL rule 12): what the runs of a tenant or of one API key may cost in a period. A run reserves when it is
//! submitted and is settled when it ends, each time in the transaction that does so; both in the period of the reservation.
//! Called by `api` (settings, submissions) and by `runs` (the end, late answers).

mod budget_entity;
mod period_entity;
mod reservation_entity;
mod reserve;
mod row;
mod settle;
mod standing;

pub(crate) use reserve::applying;
pub use reserve::{Reservation, Reserved, lock_applying, reserve};
pub use row::{BudgetRow, NewBudget, count, delete, get, insert, is_bound, list, set_limit};
pub(crate) use settle::{correct, forget, settle};
pub use standing::{Standing, standing};
