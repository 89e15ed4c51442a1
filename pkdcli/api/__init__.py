"""What pkdcli does, a module a verb: nothing here prints, exits or reads sys.argv."""
