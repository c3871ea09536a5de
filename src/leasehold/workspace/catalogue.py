"""What a plan can say of a workspace. A new limit or feature is named here; plans need not know of it."""

from leasehold.tenancy.entitlements import STATEMENT_MS, Catalogue, Feature, Limit

USERS = Limit("users", "Users who are active")
ITEMS = Limit("items", "Items that are not deleted")
STORAGE = Limit("storage_bytes", "Bytes of the tenant's tables with their indexes, by the size of their files")

BULK_IMPORT = Feature("bulk_import", "Import items from a file", default=True)

CATALOGUE = Catalogue(limits=(USERS, ITEMS, STORAGE, STATEMENT_MS), features=(BULK_IMPORT,))
