"""What the user of the example said, turn by turn."""

SAID = (
    "We are a dental practice with three locations. About forty supplier invoices come in every week by e-mail, and our"
    " office manager types every one of them into DATEV by hand. I want that to happen by itself.",
    "It's slow, and it goes wrong. Last year we paid two invoices twice; one was three thousand four hundred and eighty"
    " euros, and it took us four months to get it back.",
    "Mostly Frau Lindqvist in the office. And me, because I sign things off in between patients. Our tax adviser too, I"
    " suppose. It costs her about a morning and a half a week.",
    "They come to rechnung@praxis-okafor.example with a PDF attached. As soon as one arrives it should begin.",
    "Reminders should not start it, and the advertising that some suppliers send. We also get delivery notes as PDFs;"
    " those are not invoices.",
    "Well, at once... Honestly, once in the evening is enough, as long as nothing lies around over the weekend.",
    "She prints it, stamps it with the date, checks it against the delivery note, types supplier, number, date, amount"
    " and VAT into DATEV, and puts the paper into the approval folder. On Thursdays she pays what is approved.",
    "The folder goes to the other locations with the courier. That's what takes so long. Sometimes a week.",
    "No, nobody else does it. When she's on holiday, it waits.",
    "Mail is Microsoft 365. Booking is DATEV Unternehmen online. PDFs should be in SharePoint, by supplier and year.",
    "Our IT provider, Nordlicht Systems, looks after Microsoft. For DATEV you'd have to ask Frau Brandt, our tax"
    " adviser. I don't know whether our contract has the interface.",
    "For approvals I'd like a message in Teams with two buttons. I'm in Teams all day anyway.",
    "If a supplier uses a number again, it's a duplicate and must not be booked. Credit notes have their own numbers.",
    "Up to a thousand euros Frau Lindqvist approves it herself. Above that, I do.",
    "Supplier, invoice number, date, net, VAT, gross, IBAN. And if the IBAN is another one than last time, stop!",
    "If it can't read one, Frau Lindqvist should get a message with the PDF, and type that one in as before.",
    "If DATEV isn't there, try again later, and tell us after a day. Not me at night, please.",
    "Invoices sometimes have patients' names on them, from the laboratory. That has to stay in the EU.",
    "Forty a week, maybe sixty in January. Ten pages at most.",
    "We have to keep them for ten years. Eight now, Frau Brandt says; ask her.",
    "The budget is five thousand euros for setting it up, and it should run before the new year.",
    "It's a success if she types fewer than five a week, and nothing is paid twice.",
    "I'd test it with last month's invoices: one hundred and sixty-three, and we know what came out.",
    "One more thing: make it two thousand. Above two thousand I approve it, everything below is Frau Lindqvist's.",
    "Yes, that's it.",
)
