//! A job as the scripts see it: id, tenant, kind, subject, priority, each a text; the weight goes beside it. Numbers above 2^53 would not survive
//! Lua, so tokens are texts too.

use acm2_domain::job::{Job, Work};
use uuid::Uuid;

/// How many texts one job is.
pub(super) const FIELDS: usize = 5;

/// The job as arguments of a script.
pub(super) fn to_fields(job: &Job) -> [String; FIELDS] {
    [
        job.id.to_string(),
        job.tenant.to_string(),
        job.work.kind().to_owned(),
        job.work.subject().to_string(),
        job.priority.to_string(),
    ]
}

/// The job from the answer of a script; `None` for a kind that this version does not know, or garbage.
pub(super) fn from_fields(fields: &[String]) -> Option<Job> {
    let [id, tenant, kind, subject, priority] = fields else { return None };
    Some(Job {
        id: id.parse().ok()?,
        tenant: tenant.parse().ok()?,
        work: Work::from_parts(kind, Uuid::try_parse(subject).ok()?)?,
        priority: priority.parse().ok()?,
        weight: None,
    })
}

#[cfg(test)]
mod tests {
    use acm2_domain::ids::{DeliveryId, JobId, RunId, TenantId};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_job_survives_the_way_through_redis(id: u128, tenant: u128, subject: u128, run: bool, priority: i16) {
            let subject = Uuid::from_u128(subject);
            let job = Job {
                id: JobId::from(Uuid::from_u128(id)),
                tenant: TenantId::from(Uuid::from_u128(tenant)),
                work: if run { Work::RunV1(RunId::from(subject)) } else { Work::DeliverV1(DeliveryId::from(subject)) },
                priority,
                weight: None,
            };
            prop_assert_eq!(from_fields(&to_fields(&job)), Some(job));
        }
    }

    #[test]
    fn a_kind_of_a_later_version_is_not_misread() {
        let job = Job {
            id: JobId::generate(),
            tenant: TenantId::generate(),
            work: Work::RunV1(RunId::generate()),
            priority: 0,
            weight: None,
        };
        let mut fields = to_fields(&job);
        fields[2] = "run_v9".to_owned();
        assert_eq!(from_fields(&fields), None);
    }
}
