//! Every property, on every backend.

macro_rules! on_each_backend {
    ($($topic:ident::$property:ident,)+) => {
        on_each_backend!(@ embedded crate::embedded::Embedded, $($topic::$property,)+);
        on_each_backend!(@ sqlite crate::sqlite::InSqlite, $($topic::$property,)+);
        on_each_backend!(@ remote crate::remote::OverNetwork, $($topic::$property,)+);
    };
    (@ $backend:ident $type:ty, $($topic:ident::$property:ident,)+) => {
        mod $backend {
            $(
                #[test]
                fn $property() {
                    crate::backend::run::<$type>(crate::$topic::$property);
                }
            )+
        }
    };
}

on_each_backend! {
    values::keys_of_every_type_are_kept_apart_and_in_order,
    values::values_of_every_kind_come_back_as_they_are,
    values::several_keys_are_read_in_their_order_with_those_that_are_missing,
    writes::versionstamps_grow_and_all_entries_of_a_commit_have_its_own,
    writes::a_check_holds_for_what_was_read_and_for_nothing_else,
    writes::a_versionstamp_that_is_in_use_nowhere_matches_nothing,
    writes::an_operation_with_a_failed_check_changes_nothing,
    writes::an_operation_can_be_committed_again,
    writes::mutations_apply_in_their_order,
    writes::keys_end_in_the_versionstamp_of_their_commit,
    sums::u64s_are_added_modulo_two_to_the_64,
    sums::the_least_and_the_greatest_are_kept,
    sums::numbers_and_bigints_are_added_within_bounds,
    sums::arithmetic_with_another_type_is_refused_and_changes_nothing,
    lists::a_list_has_the_keys_of_its_range_in_order_and_in_reverse,
    lists::a_list_goes_on_after_its_cursor_in_both_directions,
    lists::batches_of_any_size_come_to_the_same_list,
    lists::a_list_that_is_limited_ends_there,
    lists::what_is_below_a_prefix_is_deleted_in_batches,
    updates::an_update_is_shown_the_entry_and_sets_what_it_says,
    updates::an_update_that_is_aborted_changes_nothing_and_says_what_it_read,
    updates::an_update_of_several_keys_is_one_commit,
    updates::touching_an_entry_keeps_its_value_and_gives_it_a_version,
    updates::updates_of_many_threads_are_all_counted,
    transactions::transactions_of_many_threads_conserve_what_they_move,
    transactions::a_transaction_sees_its_own_writes,
    transactions::a_transaction_whose_reads_have_changed_is_run_again,
    transactions::a_transaction_that_only_reads_has_read_at_one_moment,
    transactions::a_transaction_that_conflicts_too_often_is_exhausted,
    expiry::an_entry_is_there_until_it_expires,
    expiry::what_the_protocol_cannot_say_of_an_expiry_is_unsupported,
    watches::a_watch_shows_the_entries_at_once_and_when_one_has_changed,
    watches::a_watch_shows_nothing_that_is_no_change,
    watches::a_watch_of_no_keys_ends_at_once,
    watches::a_watch_of_a_key_that_ends_in_a_versionstamp_shows_it,
    watches::operations_fail_and_watches_end_once_the_database_is_closed,
    limits::keys_and_values_that_are_too_large_are_refused,
    limits::operations_that_are_too_large_are_refused,
    limits::reads_of_too_much_are_refused,
    limits::other_limits_are_held_as_they_are_said,
    messages::a_message_comes_as_it_was_enqueued_and_is_finished,
    messages::a_message_that_fails_is_delivered_again_and_in_the_end_set,
    messages::a_message_of_an_operation_that_conflicts_is_not_enqueued,
    messages::what_the_protocol_cannot_say_of_a_message_is_unsupported,
}
