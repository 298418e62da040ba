"""What carries out a saga: in virtual time (``simulated``), or here and now (``local``)."""
