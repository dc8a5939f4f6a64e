//! The attribute `cached` of the crate `cachebus`, which documents it and hands it on.

mod arguments;
mod expand;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// See `cachebus::cached`.
#[proc_macro_attribute]
pub fn cached(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as arguments::Arguments);
    let function = parse_macro_input!(function as syn::ItemFn);
    expand::cached(&arguments, function)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
