"""Where contact ids come from: one interface (`listing.ContactSource`), one module a source."""
