//! Who calls and what they may do: `credential` finds the one API key in a request, `scope` names the rights, `caller`
//! checks the key against its row at every request.

mod caller;
mod credential;
mod scope;

pub use caller::{Allowed, Caller, tenant_of};
pub use scope::{
    ApiKeysRead, ApiKeysWrite, BudgetsRead, BudgetsWrite, ConversationsRead, ConversationsWrite, LibraryRead,
    LibraryWrite, Needs, ProviderKeysRead, ProviderKeysWrite, RunsRead, RunsWrite, Scope, Scopes, WebhooksRead,
    WebhooksWrite,
};
