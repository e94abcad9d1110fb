"""The status page: what household and technician see of the adapter, read-only, with numbers masked."""
