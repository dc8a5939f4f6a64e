//! From an async function to one that reads through the cache.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Expr, FnArg, GenericArgument, Ident, ItemFn, Pat, PatIdent, PathArguments, ReturnType, Type,
};

use crate::arguments::{Arguments, Keyspace};

const NO_OPTION: &str =
    "a function that is cached returns `Result<Option<T>, E>`: `None` where there is nothing";

pub(crate) fn cached(arguments: &Arguments, function: ItemFn) -> syn::Result<TokenStream> {
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = function;
    if sig.asyncness.is_none() {
        return Err(syn::Error::new_spanned(
            sig.fn_token,
            "only an `async fn` can be cached",
        ));
    }
    let (output, value) = returned(&sig.output)?;
    let bus = match &arguments.keyspace {
        Keyspace::Named { bus, .. } => variable(bus),
        Keyspace::Made(made) => variable(made),
    };
    let parts = match &arguments.key {
        Some(key) => quote!(::cachebus::Parts::from(#key)),
        None => parts(&named(sig.inputs.iter())?, bus),
    };
    let keyspace = match &arguments.keyspace {
        Keyspace::Named { name, bus } => quote! {
            match ::cachebus::CacheBus::cache(&#bus).shared::<#value>(#name) {
                ::core::result::Result::Ok(keyspace) => keyspace,
                ::core::result::Result::Err(error) => {
                    return ::core::result::Result::Err(::core::convert::From::from(error));
                }
            }
        },
        Keyspace::Made(made) => quote!(::cachebus::Keyspace::<#value>::clone(&#made)),
    };
    let get = if arguments.refresh {
        quote!(get_or_refresh)
    } else {
        quote!(get_or_load)
    };
    Ok(quote! {
        #(#attrs)*
        #vis #sig {
            let __cachebus_parts = #parts;
            let __cachebus_keyspace = #keyspace;
            let __cachebus_load = async move || -> #output #block;
            __cachebus_keyspace
                .#get(__cachebus_parts, __cachebus_load)
                .await
                .map_err(::core::convert::From::from)
        }
    })
}

/// The type that is returned, and that of the values within it.
fn returned(output: &ReturnType) -> syn::Result<(&Type, &Type)> {
    let ReturnType::Type(_, output) = output else {
        return Err(syn::Error::new_spanned(output, NO_OPTION));
    };
    let value = generic(output, "Result").and_then(|found| generic(found, "Option"));
    match value {
        Some(value) => Ok((output, value)),
        None => Err(syn::Error::new_spanned(output, NO_OPTION)),
    }
}

/// The first type between a type's angle brackets.
fn generic<'a>(of: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = of else {
        return None;
    };
    let last = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(found) => Some(found),
        _ => None,
    }
}

/// Names of the arguments but `self`.
fn named<'a>(inputs: impl Iterator<Item = &'a FnArg>) -> syn::Result<Vec<&'a Ident>> {
    inputs
        .filter_map(|input| match input {
            FnArg::Receiver(_) => None,
            FnArg::Typed(argument) => Some(argument),
        })
        .map(|argument| match &*argument.pat {
            Pat::Ident(PatIdent { ident, .. }) => Ok(ident),
            pattern => Err(syn::Error::new_spanned(
                pattern,
                "an argument without a name: say `key = …`",
            )),
        })
        .collect()
}

/// Arguments as parts of the key: one by itself, several by their names.
fn parts(arguments: &[&Ident], bus: Option<&Ident>) -> TokenStream {
    let part = |name: &Ident| quote!(::cachebus::Part::from(::core::clone::Clone::clone(&#name)));
    let used: Vec<_> = arguments
        .iter()
        .filter(|name| Some(**name) != bus)
        .collect();
    match used.as_slice() {
        [] => quote!(::cachebus::Parts::from(())),
        [one] => {
            let part = part(one);
            quote!(::cachebus::Parts::from(#part))
        }
        several => {
            let names = several.iter().map(ToString::to_string);
            let parts = several.iter().map(|name| part(name));
            quote!(::cachebus::Parts::named([#((#names, #parts)),*]))
        }
    }
}

/// The argument that an expression is.
fn variable(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Path(path) => path.path.get_ident(),
        Expr::Reference(reference) => variable(&reference.expr),
        _ => None,
    }
}
