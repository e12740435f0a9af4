//! The form of every list: `{items, next_cursor}`. poem-openapi cannot name generic types well, so each list has its own.

/// Makes the list type of a resource.
macro_rules! list_of {
    ($(#[doc = $doc:literal])+ $name:ident of $item:ty) => {
        $(#[doc = $doc])+
        #[derive(Debug, serde::Serialize, poem_openapi::Object)]
        pub(in crate::routes) struct $name {
            /// The items of this page.
            pub items: Vec<$item>,
            /// Hand this in as `cursor` for the next page; null on the last.
            #[oai(skip_serializing_if_is_none)]
            pub next_cursor: Option<String>,
        }
    };
}

pub(super) use list_of;
