"""Items on other machines: the protocol with workers, what is sent to them, and workplaces that are theirs."""
